"""Counts the parts of an upload by its headers, before a decoder sees it.

A decoder's work does not follow from the number of bytes and pixels alone: each scan of a JPEG passes over all pixels,
and each chunk of a PNG costs as much as many bytes. So a file of some hundred kilobytes can take minutes. The files of
cameras and editors stay far below these limits. Pure; it reads only headers, and stops at the first part too many.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from api.pictures.errors import PictureTooLarge
from api.pictures.formats import AVIF, GIF, HEIF, JPEG, PNG, WEBP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_SCANS = 64
"""The most scans of one JPEG; a usual progressive JPEG has ten."""
MAX_PARTS = 5000
"""The most segments of a JPEG, chunks of a PNG or WebP, boxes of a HEIC or AVIF, or blocks before the first frame of a
GIF. A large PNG has one chunk for each 8 KB of its data."""

SOS, EOI = 0xDA, 0xD9
_GIF_EXTENSION = 0x21
# Markers without a length and content: TEM, RST0 to RST7 and SOI (ITU-T T.81, B.1.1.3).
_BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD9)])
# In compressed data, 0xFF is followed by 0, or it begins a marker; RST0 to RST7 belong to the data (T.81, B.1.1.2).
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def check_structure(data: bytes, format_name: str, *, max_scans: int, max_parts: int) -> None:
    """Raise PictureTooLarge if the file has too many parts. A damaged file passes: its decoder will refuse it."""
    _CHECKS[format_name](data, max_scans, max_parts)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields the marker of each segment, and the place after it, up to the end of the first picture or of the data."""
    at = 0
    while (found := _NEXT_MARKER.search(data, at)) is not None:
        marker, at = data[found.end() - 1], found.end()
        yield marker, at
        if marker == EOI:
            return
        if marker not in _BARE_MARKERS:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def _check_jpeg(data: bytes, max_scans: int, max_parts: int) -> None:
    scans = 0
    for parts, (marker, _) in enumerate(jpeg_segments(data), start=1):
        if marker == EOI:
            return
        scans += marker == SOS
        if scans > max_scans:
            raise PictureTooLarge(f"a JPEG picture may have at most {max_scans} scans")
        if parts > max_parts:
            raise PictureTooLarge(f"a JPEG picture may have at most {max_parts} segments")


def _check_png(data: bytes, _: int, max_parts: int) -> None:
    at, parts = 8, 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IEND":
        parts += 1
        if parts > max_parts:
            raise PictureTooLarge(f"a PNG picture may have at most {max_parts} chunks")
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _check_webp(data: bytes, _: int, max_parts: int) -> None:
    at, parts = 12, 0
    while at + 8 <= len(data):
        parts += 1
        if parts > max_parts:
            raise PictureTooLarge(f"a WebP picture may have at most {max_parts} chunks")
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2


def _check_gif(data: bytes, _: int, max_parts: int) -> None:
    """Count the blocks up to the first frame's data (GIF89a, 12 to 26). Decoders join a comment block by block."""
    at, parts = 13 + _colours(data[10:11]), 0
    while at < len(data) and data[at] == _GIF_EXTENSION:
        at += 2
        while at < len(data):
            parts += 1
            if parts > max_parts:
                raise PictureTooLarge(f"a GIF picture may have at most {max_parts} blocks before its first frame")
            length = data[at]
            at += 1 + length
            if not length:
                break


def _colours(flags: bytes) -> int:
    """Returns the bytes of the table of colours that these flags announce (GIF89a, 18)."""
    return 3 << ((flags[0] & 0x07) + 1) if flags and flags[0] & 0x80 else 0


def _check_boxes(data: bytes, _: int, max_parts: int) -> None:
    """Count the outermost boxes (ISO/IEC 14496-12, 4.2). The decoders themselves limit those within."""
    at, parts = 0, 0
    while at + 8 <= len(data):
        parts += 1
        if parts > max_parts:
            raise PictureTooLarge(f"a HEIC or AVIF picture may have at most {max_parts} boxes")
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:
            # The last box reaches to the end of the file; other lengths are wrong.
            return
        at += length


_CHECKS: Mapping[str, Callable[[bytes, int, int], None]] = {
    JPEG: _check_jpeg,
    PNG: _check_png,
    WEBP: _check_webp,
    GIF: _check_gif,
    HEIF: _check_boxes,
    AVIF: _check_boxes,
}
