"""A file with so many parts that they cost seconds is refused before a decoder sees it."""

from __future__ import annotations

import struct
import time

import pytest
from PIL import Image

from api.pictures.errors import PictureTooLarge
from api.pictures.processing import process_picture
from tests.api.pictures.samples import LIMITS, SECRET, encoded, exif, jpeg_that_takes_minutes, png_chunk, quarters

JPEG = encoded(quarters(), "JPEG", progressive=True)
PNG = encoded(quarters(), "PNG")
GIF = encoded(quarters(), "GIF", comment=SECRET)
AVIF = encoded(quarters(), "AVIF")
HEIC = encoded(quarters(), "HEIF")
HEADER = 33
"""The bytes of a PNG up to the end of its first chunk."""


def moving(frames: int) -> bytes:
    """A WebP with this number of frames."""
    film = [Image.new("RGB", (16, 16), (shade % 256, 0, 0)) for shade in range(2)]
    data = encoded(film[0], "WEBP", save_all=True, append_images=film[1:], lossless=True)
    at = data.index(b"ANMF")
    length = 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    body = data[12:] + data[at : at + length] * (frames - 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (jpeg_that_takes_minutes(), "64 scans"),
        (JPEG[:2] + b"\xff\xfe\x00\x02" * 600_000 + JPEG[2:], "5000 segments"),
        (JPEG[:2] + b"\xff\xd8" * 600_000 + JPEG[2:], "5000 segments"),
        (JPEG[:2] + b"\xff\xfe\x00\x00" * 600_000 + JPEG[2:], "5000 segments"),
        (PNG[:HEADER] + png_chunk(b"tEXt", b"a\0b") * 500_000 + PNG[HEADER:], "5000 chunks"),
        (PNG[:HEADER] + png_chunk(b"IDAT", b"") * 500_000 + PNG[HEADER:], "5000 chunks"),
        (moving(100_000), "5000 chunks"),
        (GIF[:13] + GIF[13:].replace(b"\x21\xfe", b"\x21\xfe" + b"\x01a" * 4_000_000, 1), "5000 blocks"),
        (AVIF + b"\0\0\0\x08free" * 1_000_000, "5000 boxes"),
        (HEIC[:28] + b"\0\0\0\x08free" * 1_000_000 + HEIC[28:], "5000 boxes"),
    ],
    ids=[
        "scans",
        "comments",
        "starts",
        "without length",
        "texts",
        "empty data",
        "frames",
        "pieces of a comment",
        "boxes",
        "boxes before",
    ],
)
def test_a_picture_with_too_many_parts_costs_nearly_nothing(data: bytes, reason: str) -> None:
    assert len(data) <= LIMITS.max_bytes
    before = time.process_time()
    with pytest.raises(PictureTooLarge, match=reason):
        process_picture(data, LIMITS)
    assert time.process_time() - before < 0.2


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:-2] + b"\xff\x00" * 4_000_000 + JPEG[-2:],
        JPEG[:-2] + b"\xff" * 9_000_000 + b"\x00" + JPEG[-2:],
        JPEG[:-2] + b"\xff\xd0" * 4_000_000 + JPEG[-2:],
        JPEG[:-2] + b"\x00" * 9_000_000 + JPEG[-2:],
    ],
    ids=["stuffed", "filled", "restarts", "zeros"],
)
def test_the_parts_of_any_content_are_counted_in_linear_time(data: bytes) -> None:
    before = time.process_time()
    assert process_picture(data, LIMITS).width == 96
    assert time.process_time() - before < 3.0


def test_pictures_as_cameras_and_editors_write_them_are_taken() -> None:
    camera = encoded(quarters(), "JPEG", exif=exif(), comment=SECRET, progressive=True)
    # Phones add a film, or a second picture, after the end of the first.
    assert process_picture(camera + (b"\xff\xda" + bytes(100)) * 5000, LIMITS).width == 96
    assert process_picture(moving(200), LIMITS).width == 16
    pieces = b"".join(png_chunk(b"tEXt", b"note\0" + SECRET) for _ in range(200))
    assert process_picture(PNG[:HEADER] + pieces + PNG[HEADER:], LIMITS).width == 96
