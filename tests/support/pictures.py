"""Honest pictures in every format that is decoded, and in every mode that makes trouble.

All show `CELLS`: six colours in two rows of three, so that no turn or mirror image of it looks like
another. `a_<format>(width, height)` returns a file; `BUILDERS` has them by content type.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from PIL import ExifTags, Image, ImageCms

Colour = tuple[int, int, int]

RED: Final = (220, 30, 30)
GREEN: Final = (30, 180, 30)
BLUE: Final = (40, 40, 220)
YELLOW: Final = (230, 220, 40)
BLACK: Final = (15, 15, 15)
WHITE: Final = (240, 240, 240)
CELLS: Final = ((RED, GREEN, BLUE), (YELLOW, BLACK, WHITE))
SECRET: Final = "canary-7f3a"  # stands in all the metadata there is

Cells = tuple[tuple[Colour, ...], ...]


def a_picture(width: int = 96, height: int = 64, *, cells: Cells = CELLS) -> Image.Image:
    coarse = Image.new("RGB", (len(cells[0]), len(cells)))
    coarse.putdata([colour for row in cells for colour in row])
    return coarse.resize((width, height), Image.Resampling.NEAREST)


def a_jpeg(width: int = 96, height: int = 64, **how: Any) -> bytes:
    """Return a JPEG; `orientation=6`, `gps=True`, `icc_profile=…`, `mode="CMYK"`, …"""
    return a_file("JPEG", width, height, quality=95, subsampling=0, **how)


def a_png(width: int = 96, height: int = 64, **how: Any) -> bytes:
    return a_file("PNG", width, height, **how)


def a_webp(width: int = 96, height: int = 64, **how: Any) -> bytes:
    return a_file("WEBP", width, height, lossless=True, **how)


def an_avif(width: int = 96, height: int = 64, **how: Any) -> bytes:
    return a_file("AVIF", width, height, speed=10, **how)


def a_tiff(width: int = 96, height: int = 64, **how: Any) -> bytes:
    return a_file("TIFF", width, height, **how)


def a_bmp(width: int = 96, height: int = 64, **how: Any) -> bytes:
    return a_file("BMP", width, height, **how)


def a_gif(width: int = 96, height: int = 64, *, frames: int = 1, **how: Any) -> bytes:
    """Return a GIF whose frames after the first are all red."""
    others = [Image.new("RGB", (width, height), (255 - n, 0, 0)) for n in range(frames - 1)]
    return a_file("GIF", width, height, save_all=True, append_images=others, **how)


def a_file(
    kind: str,
    width: int,
    height: int,
    *,
    mode: str = "RGB",
    orientation: int | None = None,
    gps: bool = False,
    **save: Any,
) -> bytes:
    image = a_picture(width, height) if orientation is None else lying(width, height, orientation)
    if orientation is not None or gps:
        save["exif"] = some_exif(orientation or 1, gps=gps)
    return saved(image.convert(mode), kind, **save)


def saved(image: Image.Image, kind: str, **save: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **save)
    return file.getvalue()


def lying(width: int, height: int, orientation: int) -> Image.Image:
    """Return what a camera stores when `CELLS`, `width` by `height`, is seen in `orientation`.

    Written down from EXIF 2.32, table "Orientation", and not with the names of Pillow's turns:
    for each value, where the stored pixel (x, y) appears.
    """
    rows, columns = len(CELLS), len(CELLS[0])
    right, bottom = columns - 1, rows - 1
    seen: Mapping[int, Callable[[int, int], tuple[int, int]]] = {
        1: lambda x, y: (x, y),
        2: lambda x, y: (right - x, y),
        3: lambda x, y: (right - x, bottom - y),
        4: lambda x, y: (x, bottom - y),
        5: lambda x, y: (y, x),
        6: lambda x, y: (right - y, x),
        7: lambda x, y: (right - y, bottom - x),
        8: lambda x, y: (y, bottom - x),
    }
    if orientation > 4:
        rows, columns, width, height = columns, rows, height, width
    places = [[seen[orientation](x, y) for x in range(columns)] for y in range(rows)]
    cells = tuple(tuple(CELLS[y][x] for x, y in row) for row in places)
    return a_picture(width, height, cells=cells)


def some_exif(orientation: int = 1, *, gps: bool = True) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = SECRET
    if gps:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.0), 29: SECRET})
    return exif


def a_profile(*, swapped: bool = False) -> bytes:
    """Return sRGB's profile, or one that takes what is called red for green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if not swapped:
        return profile
    return profile.replace(b"rXYZ", b"tmp_").replace(b"gXYZ", b"rXYZ").replace(b"tmp_", b"gXYZ")


BUILDERS: Final[Mapping[str, Callable[..., bytes]]] = {
    "image/avif": an_avif,
    "image/bmp": a_bmp,
    "image/gif": a_gif,
    "image/jpeg": a_jpeg,
    "image/png": a_png,
    "image/tiff": a_tiff,
    "image/webp": a_webp,
}
