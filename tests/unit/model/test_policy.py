import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TooLarge, Unprocessable, Unsupported
from shared.model.media import TYPES, Category, MediaType
from shared.model.policy import (
    DEFAULT,
    GIB,
    MIB,
    Profile,
    Verdict,
    choose,
    decide,
    default_profile,
    refuse_beginning,
    refuse_declaration,
    tailored,
)
from tests.support.samples import SAMPLES, Sample

PROFILE = default_profile()
IMAGES = tailored(PROFILE, "images", types=["image/png", "image/jpg"])
SOUNDS = tailored(PROFILE, "sounds", types=[each for each in PROFILE.types if "audio" in each])


def opening(
    profile: Profile, filename: str, declared: str | None = None, size: int | None = None
) -> None:
    refuse_declaration(profile, filename=filename, declared=declared, size=size)


def verdict(
    profile: Profile,
    detected: str,
    filename: str = "file",
    declared: str | None = None,
    size: int | None = 1,
) -> Verdict:
    return decide(profile, detected=detected, filename=filename, declared=declared, size=size)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_allowed_type_may_be_declared(sample: Sample) -> None:
    opening(PROFILE, sample.filename, sample.content_type, 1)
    opening(PROFILE, sample.filename, None, None)


@pytest.mark.parametrize(
    ("filename", "declared"),
    [
        ("voice.webm", "video/webm"),
        ("voice.opus", "audio/opus"),
        ("song.mpeg", "video/mpeg"),
        ("song.m4a", "audio/x-m4a"),
    ],
)
def test_a_browser_may_call_a_sound_a_video(filename: str, declared: str) -> None:
    opening(SOUNDS, filename, declared, 1)


@pytest.mark.parametrize(
    "declared", ["image/svg+xml", "text/html; charset=utf-8", "image/tiff", "application/x-sh", "x"]
)
def test_a_declared_type_outside_the_profile_is_refused(declared: str) -> None:
    with pytest.raises(Unsupported) as refusal:
        opening(PROFILE, "photo.png", declared)

    assert refusal.value.code == "type_not_allowed"
    assert refusal.value.facts == {
        "detected": None,
        "declared": declared,
        "allowed": sorted(PROFILE.types),
    }
    assert declared.split(";", maxsplit=1)[0] in str(refusal.value)
    assert "image/png" in str(refusal.value)


@pytest.mark.parametrize(
    "filename",
    ["a.exe", "a.SH", "a.html", "a.svg", "a.php", "a.js", "a.jar", "a.bat", "a.png.exe", "a.exe ."],
)
def test_an_extension_that_runs_is_refused_whatever_is_declared(filename: str) -> None:
    with pytest.raises(Unsupported):
        opening(PROFILE, filename, "image/png", 1)
    with pytest.raises(Unsupported):
        verdict(PROFILE, "image/png", filename)


def test_an_extension_of_a_type_outside_the_profile_is_refused() -> None:
    with pytest.raises(Unsupported):
        opening(IMAGES, "paper.pdf")


@pytest.mark.parametrize("filename", ["photo", "photo.bin", "photo.v2", "photo.jpeg"])
def test_an_unknown_extension_is_no_reason_to_refuse(filename: str) -> None:
    opening(IMAGES, filename, "application/octet-stream", 1)

    assert verdict(IMAGES, "image/png", filename).content_type == "image/png"


@pytest.mark.parametrize(
    ("filename", "declared", "limit"),
    [
        ("photo.png", "image/png", 100 * MIB),
        ("photo.png", None, 100 * MIB),
        ("clip.mp4", "video/mp4", 50 * GIB),
        ("clip.mp4", None, 50 * GIB),
        ("song.mp3", "audio/mpeg", 5 * GIB),
        ("paper.pdf", "application/pdf", 5 * GIB),
        ("whatever", "application/octet-stream", 50 * GIB),
    ],
)
def test_a_size_above_the_limit_of_its_category_is_refused_at_the_opening(
    filename: str, declared: str | None, limit: int
) -> None:
    opening(PROFILE, filename, declared, limit)

    with pytest.raises(TooLarge) as refusal:
        opening(PROFILE, filename, declared, limit + 1)

    assert refusal.value.facts == {"limit": limit, "size": limit + 1}


def test_the_limit_of_what_the_file_is_counts_in_the_end() -> None:
    assert verdict(PROFILE, "video/mp4", size=GIB).category == Category.VIDEO

    with pytest.raises(TooLarge):
        verdict(PROFILE, "image/png", "clip.mp4", "video/mp4", GIB)


def test_a_file_of_unknown_size_is_judged_by_its_type_alone() -> None:
    assert verdict(PROFILE, "image/png", size=None).content_type == "image/png"


def test_a_declared_type_that_disagrees_is_kept_beside_the_detected_one() -> None:
    found = verdict(PROFILE, "text/plain", "test.pdf", "application/pdf")

    assert found == Verdict("text/plain", Category.DOCUMENT, "application/pdf")


def test_a_detected_type_outside_the_profile_is_refused_with_what_was_found() -> None:
    with pytest.raises(Unsupported, match=r"application/pdf.*Allowed: image/jpeg, image/png") as it:
        verdict(IMAGES, "application/pdf", "photo.png", "image/png")

    assert it.value.facts == {
        "detected": "application/pdf",
        "declared": "image/png",
        "allowed": ["image/jpeg", "image/png"],
    }


@pytest.mark.parametrize(
    ("detected", "filename", "content_type"),
    [
        ("text/plain", "table.csv", "text/csv"),
        ("text/plain", "note.txt", "text/plain"),
        ("text/plain", "table", "text/plain"),
        ("application/octet-stream", "tone.pcm", "audio/pcm"),
        ("text/plain", "tone.pcm", "text/plain"),
        ("audio/wav", "tone.pcm", "audio/wav"),
        ("image/png", "table.csv", "image/png"),
    ],
)
def test_types_without_magic_go_by_their_name(
    detected: str, filename: str, content_type: str
) -> None:
    assert verdict(PROFILE, detected, filename).content_type == content_type


@pytest.mark.parametrize("filename", ["noise", "noise.png", "noise.csv", "noise.bin"])
def test_bytes_that_are_nothing_are_refused(filename: str) -> None:
    with pytest.raises(Unsupported, match="application/octet-stream"):
        verdict(PROFILE, "application/octet-stream", filename)


def test_an_active_type_is_accepted_under_its_own_name_only() -> None:
    profile = tailored(PROFILE, "pages", types={*PROFILE.types, "text/html"})

    opening(profile, "page.html", "text/html", 1)
    assert verdict(profile, "text/html", "page.html").content_type == "text/html"
    with pytest.raises(Unsupported, match="under this name"):
        verdict(profile, "text/html", "page.png")


def test_a_type_of_the_operator_goes_by_its_extension_when_its_bytes_say_nothing() -> None:
    model = MediaType(
        "model/gltf-binary",
        Category.DOCUMENT,
        ("glb",),
        resembles=frozenset({"application/octet-stream"}),
        active=True,
    )
    types = PROFILE.types | {model.name}
    profile = Profile("models", types, DEFAULT, extra=(model,))

    opening(profile, "cube.glb", "model/gltf-binary", 1)
    assert verdict(profile, "application/octet-stream", "cube.glb").content_type == model.name
    assert verdict(profile, "model/gltf-binary", "cube.glb").content_type == model.name
    with pytest.raises(Unsupported):
        verdict(profile, "application/octet-stream", "cube")


@pytest.mark.parametrize(
    ("detected", "filename"),
    [
        ("text/html", "photo.png"),
        ("application/x-executable", "photo.png"),
        ("application/x-polyglot", "photo.png"),
        ("application/pdf", "photo.png"),
    ],
)
def test_a_beginning_that_cannot_become_anything_allowed_is_refused(
    detected: str, filename: str
) -> None:
    with pytest.raises(Unsupported):
        refuse_beginning(IMAGES, detected=detected, filename=filename, declared="image/png")


@pytest.mark.parametrize(
    ("detected", "filename"),
    [
        ("audio/mpeg", "song.mp3"),
        ("video/webm", "voice.webm"),
        ("application/octet-stream", "song.mp3"),
        ("application/zip", "letter.docx"),
    ],
)
def test_a_beginning_that_may_still_become_something_allowed_passes(
    detected: str, filename: str
) -> None:
    refuse_beginning(SOUNDS, detected=detected, filename=filename, declared=None)


def test_a_profile_may_be_given_by_extensions_alone() -> None:
    profile = tailored(PROFILE, "chat", extensions=["jpg", ".PNG", "webm", "txt"])

    assert profile.types == {"image/jpeg", "image/png", "audio/webm", "video/webm", "text/plain"}
    opening(profile, "photo.jpg")
    with pytest.raises(Unsupported, match=r"\.jpeg") as refusal:
        opening(profile, "photo.jpeg")
    assert refusal.value.facts["allowed_extensions"] == ["jpg", "png", "txt", "webm"]
    with pytest.raises(Unsupported, match="needs an extension"):
        opening(profile, "photo")


def test_a_profile_may_have_one_limit_for_everything() -> None:
    profile = tailored(PROFILE, "small", max_size=5)

    assert profile.types == PROFILE.types
    assert set(profile.max_sizes.values()) == {5}


def test_a_profile_of_nothing_accepts_nothing() -> None:
    profile = tailored(PROFILE, "nothing", types=[])

    with pytest.raises(TooLarge):
        opening(profile, "photo", None, 1)
    with pytest.raises(Unsupported):
        verdict(profile, "image/png")


def test_limits_come_from_settings_and_else_from_the_table() -> None:
    profile = default_profile({Category.IMAGE: 7})

    assert profile.max_sizes == {**DEFAULT, Category.IMAGE: 7}


def test_a_profile_of_unknown_types_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown types: image/foo"):
        tailored(PROFILE, "odd", types=["image/foo", "image/png"])
    with pytest.raises(ValueError, match="no size limit for audio"):
        Profile("odd", frozenset(), {k: 1 for k in Category if k != Category.AUDIO})


def test_choosing_a_profile_that_is_not_there_points_at_the_field() -> None:
    assert choose({"default": PROFILE}, "default") is PROFILE

    with pytest.raises(Unprocessable) as refusal:
        choose({"default": PROFILE}, "avatars")
    assert refusal.value.facts["errors"][0]["pointer"] == "/profile"


NAMES = st.sampled_from([each.name for each in TYPES])
DETECTED = NAMES | st.sampled_from(
    ["application/octet-stream", "application/x-polyglot", "text/x-shellscript", "video/avi"]
)
FILENAMES = st.sampled_from([f"a.{last}" for each in TYPES for last in each.extensions]) | st.text()


@given(st.frozensets(NAMES), DETECTED | st.text(), FILENAMES, st.none() | NAMES | st.text())
def test_nothing_outside_the_profile_is_ever_accepted(
    types: frozenset[str], detected: str, filename: str, declared: str | None
) -> None:
    profile = tailored(PROFILE, "some", types=types)

    try:
        found = verdict(profile, detected, filename, declared)
    except Unsupported:
        return

    assert found.content_type in types
