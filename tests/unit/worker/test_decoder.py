import pytest
from PIL import Image

from worker.decoder import fitted, in_eight_bits, in_srgb, without_palette


@pytest.mark.parametrize(
    ("size", "longer_side", "expected"),
    [
        ((4000, 3000), 1024, (1024, 768)),
        ((3000, 4000), 1024, (768, 1024)),
        ((100, 50), 1024, (100, 50)),
        ((20_000, 1), 150, (150, 1)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_a_size_is_fitted_and_never_grows(
    size: tuple[int, int], longer_side: int, expected: tuple[int, int]
) -> None:
    assert fitted(size, longer_side) == expected


@pytest.mark.parametrize("value", [0, 256, 32_896, 65_535])
def test_sixteen_bits_keep_their_brightness(value: int) -> None:
    image = in_eight_bits(Image.new("I;16", (1, 1), value))

    assert image.mode == "L"
    assert image.getpixel((0, 0)) == pytest.approx(value / 257, abs=1)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_greys_without_a_known_range_use_the_one_they_have(mode: str) -> None:
    image = Image.new(mode, (2, 1), -500)
    image.putpixel((1, 0), 1_000_000)

    assert in_eight_bits(image).tobytes() == b"\x00\xff"


def test_an_even_grey_is_no_division_by_zero() -> None:
    assert in_eight_bits(Image.new("F", (1, 1), 7.5)).mode == "L"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_one_that_webp_has(mode: str) -> None:
    image = in_srgb(without_palette(Image.new(mode, (2, 2))), None)

    assert image.mode == ("RGBA" if mode in {"LA", "PA", "RGBA"} else "RGB")
