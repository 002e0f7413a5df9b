"""The limited child that opens images: one picture on stdin, thumbnails on stdout.

    python -I decoder.py '{"format": "JPEG", "longer_sides": [1024], ...}' < picture > answer

The answer is a line of JSON and, after it, the thumbnails' bytes in the order asked for. What
arrives on stdin may be hostile: it is read only after `confine`, and seen by one decoder only, that
of the type which was sniffed. The program imports nothing of ours: it has to start fast, and there
is nothing in it worth breaking into.
"""

import ctypes
import io
import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

from PIL import ExifTags, Image, ImageCms, ImageFile

# The classes themselves, not `Image.open`: one parser sees the bytes, no other plugin is imported,
# and a JPEG's index of further pictures (MPO) is never followed.
DECODERS: Final = {
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
}

# EXIF 2.32, 4.6.4 A: what has to be done to a picture so that it stands upright.
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_ITS_SIDE: Final = frozenset({5, 6, 7, 8})

# How much larger than the thumbnail a JPEG is decoded. Against a Lanczos reduction of the whole
# picture (11 pictures, 3 ratios) SSIM is 0.964 at worst with 1.0 and 0.9965 with 1.5, which costs
# nothing at 12 and 48 megapixels; 2.0 costs twice the time and wins nothing visible.
DRAFT_MARGIN: Final = 1.5

STDERR: Final = 2
BLOCK: Final = 1024 * 1024
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h

Size = tuple[int, int]
Answer = tuple[dict[str, Any], list[bytes]]


class Order(NamedTuple):  # not a dataclass: importing those takes a tenth of the start
    """What the parent wants, and what may be used up for it."""

    format: str
    longer_sides: list[int]
    pixels: int
    source_size: int
    memory: int
    cpu_seconds: int
    parent: int


class TooLarge(Exception):
    """More pixels, or more bytes, than the order allows."""

    def __init__(self, **facts: int) -> None:
        super().__init__()
        self.facts = facts


def main() -> None:
    """Answer one order. Bad pictures are answers, too; a death without one is read by the parent."""
    order = Order(**json.loads(sys.argv[1]))
    decoder = decoder_of(order.format)  # before the limits: a missing codec is no bad picture
    confine(order)
    verdict, bodies = answer(order, decoder)
    write(json.dumps(verdict).encode() + b"\n")
    for body in bodies:
        write(body)
    os._exit(0)  # there is nothing to tidy up, and a decoder's leftovers could crash the exit


def decoder_of(form: str) -> type[ImageFile.ImageFile]:
    module, name = DECODERS[form]
    plugin = import_module(f"PIL.{module}")
    import_module("PIL.WebPImagePlugin")  # writes the thumbnails
    if form == "AVIF":
        # A thread per core, each with its stack and arena, would count as memory.
        plugin.DEFAULT_MAX_THREADS = 1  # type: ignore[attr-defined]
    decoder: type[ImageFile.ImageFile] = getattr(plugin, name)
    return decoder


def confine(order: Order) -> None:
    """Give up all but two pipes and the memory and time that were granted."""
    die_with(order.parent)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)  # what libraries print there is the picture's word
    os.close(nowhere)
    for what, soft, hard in (
        (resource.RLIMIT_AS, order.memory, order.memory),
        (resource.RLIMIT_CPU, order.cpu_seconds, order.cpu_seconds + 1),  # first SIGXCPU, then KILL
        (resource.RLIMIT_NOFILE, 16, 16),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        # Refused where a lower limit holds already, and for RLIMIT_AS on macOS.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (soft, hard))
    # Pillow raises at twice this figure, also where it meets a size before we do; at once it warns.
    Image.MAX_IMAGE_PIXELS = -(-order.pixels // 2)
    # Of the warnings that are left none is about danger: a damaged EXIF block or an odd palette
    # must not cost anybody their photo.
    warnings.simplefilter("ignore")


def die_with(parent: int) -> None:
    """Leave no child behind when the worker is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def answer(order: Order, decoder: type[ImageFile.ImageFile]) -> Answer:
    try:
        return thumbnails(order, decoder)
    except TooLarge as error:
        return {"refused": "image_too_large", "facts": error.facts}, []
    except Image.DecompressionBombError:
        return {"refused": "image_too_large", "facts": {"pixels_limit": order.pixels}}, []
    except MemoryError:
        return {"refused": "image_exhausted"}, []
    except Exception as error:  # noqa: BLE001 - decoders raise everything there is at hostile bytes
        return {"refused": "image_broken", "reason": f"{type(error).__name__}: {error}"[:200]}, []


def thumbnails(order: Order, decoder: type[ImageFile.ImageFile]) -> Answer:
    """Decode once, then go from the largest thumbnail to the smallest."""
    source = received(order.source_size)
    if order.format == "PNG":
        decoder(source).verify()  # loading does not look at the checksums, nor for the end
        source.seek(0)
    picture = decoder(source)
    width, height = picture.size
    if width * height > order.pixels:
        raise TooLarge(width=width, height=height, pixels_limit=order.pixels)

    largest = max(order.longer_sides, default=1)
    image = reduced(picture, fitted((width, height), largest))
    orientation = orientation_of(picture)  # known for certain once the picture is loaded
    if orientation in ON_ITS_SIDE:
        width, height = height, width
    image = upright(in_srgb(image, picture.info.get("icc_profile")), orientation)
    image.info = {}  # whatever came with the picture ends here

    made = dict(cascade(image, (width, height), order.longer_sides))
    chosen = [made[side] for side in order.longer_sides]
    sizes = [(*size, len(body)) for size, body in chosen]
    verdict = {"width": width, "height": height, "thumbnails": sizes}
    return verdict, [body for _, body in chosen]


def received(limit: int) -> io.BytesIO:
    source = io.BytesIO()
    while block := os.read(sys.stdin.fileno(), BLOCK):
        if source.write(block) and source.tell() > limit:
            raise TooLarge(size_limit=limit)
    source.seek(0)
    return source


def fitted(size: Size, longer_side: int) -> Size:
    """Return the size whose longer side is `longer_side`, or `size` where that is smaller."""
    scale = min(1.0, longer_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def reduced(picture: ImageFile.ImageFile, size: Size) -> Image.Image:
    """Load `picture`, the first frame if it has many, at `size`."""
    drafted = picture.draft(None, (round(size[0] * DRAFT_MARGIN), round(size[1] * DRAFT_MARGIN)))
    box = drafted[1] if drafted else None
    picture.load()
    whole = without_palette(picture)
    small = whole.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    return in_eight_bits(small)


def without_palette(image: Image.Image) -> Image.Image:
    """Return `image` in a mode that can be scaled, its transparency as a channel."""
    if image.mode == "RGBA":
        return image
    if image.has_transparency_data and not is_deep(image):
        return image.convert("RGBA")
    if image.mode in {"L", "RGB", "CMYK"} or is_deep(image):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def is_deep(image: Image.Image) -> bool:
    return image.mode in {"I", "F"} or image.mode.startswith("I;16")


def in_eight_bits(image: Image.Image) -> Image.Image:
    """Scale greys of 16 and 32 bits, which `convert` would only cut off."""
    if not is_deep(image):
        return image
    low, high = 0.0, 65535.0
    if image.mode in {"I", "F"}:  # nothing says which values such a picture uses
        low, high = cast("tuple[float, float]", image.getextrema())
    else:
        image = image.convert("I")
    factor = 255 / ((high - low) or 1)
    return image.point(lambda value: value * factor - low * factor).convert("L")


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return `image` as RGB or RGBA in the colours that everybody assumes without a profile."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        # A profile that cannot be read, or is for other channels, says nothing about the colours.
        with suppress(ImageCms.PyCMSError, OSError):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, own, srgb, outputMode=mode)
            if converted is not None:
                return converted
    return image if image.mode == mode else image.convert(mode)


def orientation_of(picture: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation; 1, as it is, where the metadata is absent or broken."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - the picture itself was fine
        return 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def cascade(
    image: Image.Image, original: Size, sides: Sequence[int]
) -> Iterator[tuple[int, tuple[Size, bytes]]]:
    """Yield each side's size and WebP, every thumbnail made from the next larger one."""
    for side in sorted(set(sides), reverse=True):
        size = fitted(original, side)
        if image.size != size:
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        yield side, (size, webp(image))


class WebPFile(io.BytesIO):
    """Bytes with a name: told the format otherwise, Pillow first imports five other plugins."""

    name = "thumbnail.webp"


def webp(image: Image.Image) -> bytes:
    body = WebPFile()
    image.save(body, quality=80, method=2)
    return body.getvalue()


def write(content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


if __name__ == "__main__":
    main()
