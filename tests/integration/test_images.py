"""Real pictures and real bombs through real child processes."""

import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from shared.errors import Interrupted, Rejected, Unavailable
from shared.model.thumbnail import DEFAULT_SPECS, ThumbnailSpec
from tests.support import bombs, pictures
from tests.support.pictures import BLACK, BLUE, CELLS, GREEN, RED, SECRET
from tests.support.waiting import eventually
from worker.images import Decoded, Limits, Picture, decode

FORMATS = list(pictures.BUILDERS)
WITH_ORIENTATION = ["image/avif", "image/jpeg", "image/png", "image/tiff", "image/webp"]
USUAL = Limits()
ONE = (ThumbnailSpec("only", 96),)

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def decoded(
    body: bytes,
    content_type: str = "image/png",
    specs: tuple[ThumbnailSpec, ...] = ONE,
    limits: Limits = USUAL,
) -> Decoded:
    return decode([body], content_type=content_type, specs=specs, limits=limits)


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.body), formats=["WEBP"])
    image.load()
    return image


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    return cast("tuple[int, ...]", image.getpixel((x, y)))


def refusal_of(body: bytes, content_type: str, limits: Limits = USUAL) -> Rejected:
    with pytest.raises(Rejected) as refused:
        decoded(body, content_type, limits=limits)
    return refused.value


def assert_shows_cells(image: Image.Image) -> None:
    """Compare the middle of each cell: the files in between are lossy."""
    for row, colours in enumerate(CELLS):
        for column, colour in enumerate(colours):
            x = image.width * (2 * column + 1) // (2 * len(colours))
            y = image.height * (2 * row + 1) // (2 * len(CELLS))
            assert pixel(image.convert("RGB"), x, y) == pytest.approx(colour, abs=24)


class TestHonestPictures:
    @pytest.mark.parametrize("content_type", FORMATS)
    def test_every_format_gets_every_thumbnail(self, content_type: str) -> None:
        body = pictures.BUILDERS[content_type](600, 400)

        result = decoded(body, content_type, DEFAULT_SPECS)

        assert (result.width, result.height) == (600, 400)
        made = [(made.name, made.width, made.height) for made in result.thumbnails]
        assert made == [("small", 150, 100), ("medium", 400, 267), ("large", 600, 400)]
        for thumbnail in result.thumbnails:
            assert opened(thumbnail).size == (thumbnail.width, thumbnail.height)
            assert_shows_cells(opened(thumbnail))

    @pytest.mark.parametrize("content_type", WITH_ORIENTATION)
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_turned_picture_stands_upright(self, content_type: str, orientation: int) -> None:
        body = pictures.BUILDERS[content_type](96, 64, orientation=orientation)

        result = decoded(body, content_type)

        assert (result.width, result.height) == (96, 64)
        assert_shows_cells(opened(result.thumbnails[0]))

    def test_a_turned_photo_that_is_drafted_stands_upright(self) -> None:
        result = decoded(pictures.a_jpeg(1203, 802, orientation=6), "image/jpeg")

        assert (result.width, result.height) == (1203, 802)
        assert opened(result.thumbnails[0]).size == (96, 64)
        assert_shows_cells(opened(result.thumbnails[0]))

    @pytest.mark.parametrize("content_type", WITH_ORIENTATION)
    def test_nothing_of_the_metadata_reaches_a_thumbnail(self, content_type: str) -> None:
        about: dict[str, object] = {"gps": True, "icc_profile": pictures.a_profile()}
        if content_type != "image/tiff":  # where Pillow writes no packet of its own
            about["xmp"] = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
        body = pictures.BUILDERS[content_type](**about)
        assert SECRET.encode() in body

        thumbnail = decoded(body, content_type).thumbnails[0]

        assert SECRET.encode() not in thumbnail.body
        assert opened(thumbnail).info.keys() <= {"background", "duration", "loop", "timestamp"}
        assert_shows_cells(opened(thumbnail))

    def test_text_in_a_png_does_not_reach_a_thumbnail(self) -> None:
        text = PngInfo()
        text.add_text("profile", "/etc/passwd")

        assert b"passwd" not in decoded(pictures.a_png(pnginfo=text)).thumbnails[0].body

    def test_colours_are_those_of_the_profile(self) -> None:
        body = pictures.a_png(icc_profile=pictures.a_profile(swapped=True))

        red, green, blue = pixel(opened(decoded(body).thumbnails[0]), 16, 16)

        assert green > 180
        assert max(red, blue) < 80

    def test_an_unreadable_profile_costs_nobody_the_picture(self) -> None:
        result = decoded(pictures.a_png(icc_profile=b"not a profile" * 20))

        assert_shows_cells(opened(result.thumbnails[0]))

    def test_a_profile_for_other_channels_costs_nobody_the_picture(self) -> None:
        body = pictures.a_jpeg(mode="CMYK", icc_profile=pictures.a_profile())

        assert opened(decoded(body, "image/jpeg").thumbnails[0]).mode == "RGB"

    def test_broken_exif_costs_nobody_the_picture(self) -> None:
        exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x07\0\xff\xff\xff\xff" + bytes(40)

        result = decoded(pictures.a_jpeg(exif=exif), "image/jpeg")

        assert_shows_cells(opened(result.thumbnails[0]))

    def test_no_thumbnail_is_larger_than_the_original(self) -> None:
        result = decoded(pictures.a_png(10, 8), specs=DEFAULT_SPECS)

        assert [made.name for made in result.thumbnails] == ["small", "medium", "large"]
        assert {(made.width, made.height) for made in result.thumbnails} == {(10, 8)}

    def test_a_sliver_keeps_a_pixel(self) -> None:
        result = decoded(pictures.a_png(4000, 3))

        assert opened(result.thumbnails[0]).size == (96, 1)

    def test_thumbnails_come_in_the_order_asked_for(self) -> None:
        specs = (ThumbnailSpec("b", 30), ThumbnailSpec("a", 90), ThumbnailSpec("c", 60))

        result = decoded(pictures.a_png(), specs=specs)

        assert [(made.name, made.width) for made in result.thumbnails] == [
            ("b", 30),
            ("a", 90),
            ("c", 60),
        ]

    def test_without_specs_only_the_size_is_told(self) -> None:
        assert decoded(pictures.a_png(), specs=()) == Decoded(96, 64, ())

    def test_blocks_may_be_cut_anywhere(self) -> None:
        body = pictures.a_png()
        blocks = [b"", body[:1], body[1:50], b"", body[50:]]

        assert decode(blocks, content_type="image/png", specs=ONE) == decoded(body)


class TestModes:
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
    def test_every_mode_of_png_is_decoded(self, mode: str) -> None:
        assert len(decoded(pictures.a_png(mode=mode)).thumbnails) == 1

    @pytest.mark.parametrize("mode", ["CMYK", "L"])
    def test_every_mode_of_jpeg_is_decoded(self, mode: str) -> None:
        image = opened(decoded(pictures.a_jpeg(mode=mode), "image/jpeg").thumbnails[0])

        assert image.mode == "RGB"
        if mode == "CMYK":
            assert_shows_cells(image)

    @pytest.mark.parametrize("mode", ["CMYK", "F", "I", "I;16", "LAB", "YCbCr"])
    def test_every_mode_of_tiff_is_decoded(self, mode: str) -> None:
        source = pictures.a_picture().convert("L" if mode in {"F", "I", "I;16"} else "RGB")

        body = pictures.saved(source.convert(mode), "TIFF")

        assert len(decoded(body, "image/tiff").thumbnails) == 1

    def test_sixteen_bits_are_not_cut_off_at_eight(self) -> None:
        body = pictures.saved(Image.new("I;16", (96, 96), 20_000), "PNG")

        image = opened(decoded(body).thumbnails[0])

        assert pixel(image, 48, 48) == pytest.approx((78, 78, 78), abs=3)

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_a_channel_of_transparency_is_kept(self, mode: str) -> None:
        source = pictures.a_picture(300, 200).convert(mode)
        source.putalpha(Image.new("L", source.size, 100))

        image = opened(decoded(pictures.saved(source, "PNG")).thumbnails[0])

        assert image.getchannel("A").getextrema() == (100, 100)

    @pytest.mark.parametrize("kind", ["PNG", "GIF"])
    def test_a_transparent_palette_entry_is_kept(self, kind: str) -> None:
        source = Image.new("P", (96, 64), 1)
        source.putpalette([*RED, *GREEN])
        source.paste(0, (0, 0, 48, 64))
        body = pictures.saved(source, kind, transparency=0)

        image = opened(decoded(body, f"image/{kind.lower()}").thumbnails[0])

        assert pixel(image, 10, 30)[3] == 0
        assert pixel(image, 80, 30) == pytest.approx((*GREEN, 255), abs=12)

    def test_a_transparent_colour_is_kept(self) -> None:
        body = pictures.a_png(transparency=BLACK)

        image = opened(decoded(body).thumbnails[0])

        assert pixel(image, 48, 48)[3] == 0
        assert pixel(image, 16, 16)[3] == 255

    def test_of_many_frames_the_first_is_shown(self) -> None:
        image = opened(decoded(pictures.a_gif(frames=4), "image/gif").thumbnails[0])

        assert_shows_cells(image)
        assert getattr(image, "n_frames", 1) == 1

    def test_of_many_pictures_in_a_jpeg_the_first_is_shown(self) -> None:
        others = [Image.new("RGB", (96, 64), BLUE)]
        body = pictures.a_file("MPO", 96, 64, quality=95, save_all=True, append_images=others)

        assert_shows_cells(opened(decoded(body, "image/jpeg").thumbnails[0]))

    def test_a_damaged_index_of_further_pictures_does_not_matter(self) -> None:
        others = [Image.new("RGB", (96, 64), BLUE)]
        body = pictures.a_file("MPO", 96, 64, quality=95, save_all=True, append_images=others)
        damaged = body.replace(b"MPF\0II*\0", b"MPF\0II\xff\xff")
        assert damaged != body

        assert_shows_cells(opened(decoded(damaged, "image/jpeg").thumbnails[0]))


class TestBombs:
    def test_a_pixel_bomb_is_refused_by_its_header(self) -> None:
        refusal = refusal_of(bombs.a_pixel_bomb(20_000, 20_000), "image/png")

        assert refusal.code == "image_too_large"
        assert refusal.facts == {"width": 20_000, "height": 20_000, "pixels_limit": 50_000_000}

    @pytest.mark.parametrize("content_type", FORMATS)
    def test_no_format_may_exceed_the_pixels(self, content_type: str) -> None:
        body = pictures.BUILDERS[content_type](96, 64)

        refusal = refusal_of(body, content_type, Limits(pixels=96 * 64 - 1))

        assert refusal.code == "image_too_large"
        assert decoded(body, content_type, limits=Limits(pixels=96 * 64)).width == 96

    @pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
    def test_text_that_unfolds_without_end_is_a_broken_image(self, kind: bytes) -> None:
        assert refusal_of(bombs.a_text_bomb(kind), "image/png").code == "image_broken"

    def test_frames_are_not_counted(self) -> None:
        result = decoded(bombs.a_frame_bomb(5_000), "image/gif", limits=Limits(cpu_seconds=2))

        assert (result.width, result.height) == (64, 64)

    def test_the_screen_of_a_gif_counts_and_not_its_frames(self) -> None:
        bomb = bombs.a_frame_bomb(2_000, width=9_000, height=9_000)

        assert refusal_of(bomb, "image/gif").code == "image_too_large"

    def test_more_memory_than_allowed_is_refused(self) -> None:
        bomb = bombs.a_pixel_bomb(7_000, 7_000, colours=bombs.GREY_ALPHA)

        refusal = refusal_of(bomb, "image/png", Limits(memory=160 * 1024 * 1024))

        assert refusal.code == "image_exhausted"

    def test_more_bytes_than_allowed_are_refused(self) -> None:
        body = pictures.a_bmp(2000, 1000)

        refusal = refusal_of(body, "image/bmp", Limits(source_size=1_000_000))

        assert (refusal.code, refusal.facts) == ("image_too_large", {"size_limit": 1_000_000})

    def test_a_slow_decoder_is_killed_at_the_deadline(self) -> None:
        with pytest.raises(Interrupted) as interrupted:
            decoded(bombs.a_slow_bomb(), "image/bmp", limits=Limits(deadline_seconds=0.5))

        assert interrupted.value.code == "decoder_interrupted"

    def test_a_busy_decoder_is_killed_by_its_processor_time(self) -> None:
        refusal = refusal_of(bombs.a_slow_bomb(), "image/bmp", Limits(cpu_seconds=1))

        assert refusal.code == "image_timeout"


class TestDamage:
    @pytest.mark.parametrize("content_type", FORMATS)
    def test_a_truncated_picture_is_broken(self, content_type: str) -> None:
        body = pictures.BUILDERS[content_type](300, 200)

        assert refusal_of(body[: len(body) * 2 // 3], content_type).code == "image_broken"

    @pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT"])
    def test_a_png_with_a_wrong_checksum_is_broken(self, chunk: bytes) -> None:
        body = bombs.with_wrong_checksum(pictures.a_png(), chunk)

        assert refusal_of(body, "image/png").code == "image_broken"

    @pytest.mark.parametrize("content_type", FORMATS)
    def test_bytes_of_another_type_are_broken(self, content_type: str) -> None:
        other = pictures.a_bmp() if content_type == "image/png" else pictures.a_png()

        assert refusal_of(other, content_type).code == "image_broken"

    @pytest.mark.parametrize(
        "head",
        [
            b"SIMPLE  =                    T",
            b"8BPS\0\1",
            b"%!PS-Adobe-3.0 EPSF-3.0\n",
            b"<svg/>",
            b"",
        ],
    )
    def test_a_type_that_is_never_decoded_stays_so_under_another_name(self, head: bytes) -> None:
        assert refusal_of(head.ljust(2880), "image/png").code == "image_broken"


@needs_proc
class TestTheChild:
    def test_it_has_no_secrets_no_files_and_little_of_everything(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("S3_SECRET_ACCESS_KEY", SECRET)
        seen: dict[str, str] = {}

        def blocks() -> Iterator[bytes]:
            child = the_confined_child()
            seen["environment"] = (child / "environ").read_text()
            seen["files"] = " ".join(sorted(entry.name for entry in (child / "fd").iterdir()))
            seen["folder"] = str((child / "cwd").readlink())
            seen["noise"] = str((child / "fd/2").readlink())
            seen["limits"] = (child / "limits").read_text()
            yield pictures.a_png()

        with Path(__file__).open():
            decode(blocks(), content_type="image/png", specs=ONE)

        assert seen["environment"] == "MALLOC_ARENA_MAX=1\0"
        assert seen["files"] == "0 1 2"
        assert (seen["folder"], seen["noise"]) == ("/", "/dev/null")
        limits = {line[:26].strip(): line[26:].split()[0] for line in seen["limits"].splitlines()}
        assert limits["Max address space"] == str(1024**3)
        assert limits["Max cpu time"] == "15"
        assert limits["Max file size"] == limits["Max core file size"] == "0"
        assert limits["Max open files"] == "16"

    def test_its_crash_is_the_fault_of_the_image(self) -> None:
        with pytest.raises(Rejected) as refused:
            decode(blocks_and(signal.SIGSEGV), content_type="image/png", specs=ONE)

        assert refused.value.code == "image_broken"

    def test_its_death_for_want_of_memory_on_the_host_is_not(self) -> None:
        with pytest.raises(Interrupted) as interrupted:
            decode(blocks_and(signal.SIGKILL), content_type="image/png", specs=ONE)

        assert interrupted.value.code == "decoder_interrupted"

    def test_a_host_that_lets_it_not_run_is_not_the_fault_of_the_image(self) -> None:
        with pytest.raises(Interrupted):
            decode(
                blocks_and(signal.SIGSTOP),
                content_type="image/png",
                specs=ONE,
                limits=Limits(deadline_seconds=1.5),
            )

    def test_a_worker_that_is_told_to_stop_does_not_wait_for_it(self) -> None:
        class Stop(Exception):
            pass

        began, times = time.monotonic(), iter((False, False, True))

        def check() -> None:
            if next(times):
                raise Stop

        with pytest.raises(Stop):
            decode(blocks_and(signal.SIGSTOP), content_type="image/png", specs=ONE, check=check)

        assert time.monotonic() - began < 10
        assert children_of(os.getpid()) == []

    def test_its_end_by_an_operator_is_not(self) -> None:
        with pytest.raises(Unavailable) as unavailable:
            decode(blocks_and(signal.SIGTERM), content_type="image/png", specs=ONE)

        assert (unavailable.value.code, unavailable.value.retryable) == (
            "decoder_unavailable",
            True,
        )

    def test_a_child_that_cannot_be_started_is_not_the_fault_of_the_image(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        first_free = os.dup(0)  # all below it are in use
        os.close(first_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + 1, hard))
        try:
            with pytest.raises(Unavailable) as unavailable:
                decoded(pictures.a_png())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert unavailable.value.code == "decoder_unavailable"

    def test_it_dies_with_its_parent(self) -> None:
        program = (
            "import sys, threading; from worker.images import decode\n"
            "def blocks():\n"
            "    yield b'x'; print('fed', flush=True); threading.Event().wait(60)\n"
            "decode(blocks(), content_type='image/png', specs=())"
        )
        root = Path(__file__).parents[2]
        with subprocess.Popen(
            [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, env={}
        ) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"fed\n"
            (child,) = eventually(lambda: children_of(parent.pid))
            until_confined(child)

            parent.kill()

        eventually(lambda: not is_running(child))

    def test_nothing_is_left_of_thirty_decodes(self) -> None:
        good, bad = pictures.a_png(), pictures.a_png()[:60]
        decoded(good)
        files, threads = open_files(), threading.active_count()

        for number in range(30):
            if number % 10 == 9:
                with pytest.raises(Interrupted):
                    decoded(good, limits=Limits(deadline_seconds=0.01))
            elif number % 3:
                decoded(good)
            else:
                refusal_of(bad, "image/png")

        assert open_files() == files
        assert threading.active_count() == threads
        assert children_of(os.getpid()) == []


class TestTheSource:
    def test_what_reading_raises_passes_through(self) -> None:
        def blocks() -> Iterator[bytes]:
            yield pictures.a_png()[:50]
            raise BrokenPipeError("of the store, not of the child")

        with pytest.raises(BrokenPipeError, match="of the store"):
            decode(blocks(), content_type="image/png", specs=ONE)

    def test_a_slow_store_is_not_the_fault_of_the_image(self) -> None:
        def blocks() -> Iterator[bytes]:
            threading.Event().wait(1.6)
            yield pictures.a_png()

        limits = Limits(deadline_seconds=1.5)

        assert decode(blocks(), content_type="image/png", specs=ONE, limits=limits).width == 96

    def test_more_than_a_pipe_holds_gets_through(self) -> None:
        body = pictures.a_bmp(2000, 1000)

        assert decoded(body, "image/bmp").width == 2000

    def test_a_daemonic_process_may_decode(self) -> None:
        process = multiprocessing.get_context("fork").Process(
            target=decoded, args=(pictures.a_png(),), daemon=True
        )
        process.start()
        process.join(20)

        assert process.exitcode == 0


def blocks_and(deadly: int) -> Iterator[bytes]:
    body = pictures.a_png()
    yield body[:60]
    os.kill(int(the_confined_child().name), deadly)
    yield body[60:]


def the_confined_child() -> Path:
    (child,) = eventually(lambda: children_of(os.getpid()))
    until_confined(child)
    return Path("/proc", str(child))


def until_confined(child: int) -> None:
    limits = Path("/proc", str(child), "limits")
    eventually(lambda: "Max file size             0 " in limits.read_text(), every=0.01)


def children_of(parent: int) -> list[int]:
    """Return the decoders among the children: the servers of other tests may be there, too."""
    tasks = Path("/proc", str(parent), "task").iterdir()
    children = [int(each) for task in tasks for each in (task / "children").read_text().split()]
    return [each for each in children if b"decoder" in Path(f"/proc/{each}/cmdline").read_bytes()]


def is_running(process: int) -> bool:
    try:
        state = Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())
