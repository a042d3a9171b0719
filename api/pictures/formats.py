"""Tells the format of an upload by its first bytes, never by its name or declared media type. Pure.

Phones name files as they like: an iPhone's HEIC often arrives as `IMG_0001.jpg`.
"""

from __future__ import annotations

from api.pictures.errors import UnsupportedPicture

JPEG, PNG, WEBP, GIF, HEIF, AVIF = "JPEG", "PNG", "WEBP", "GIF", "HEIF", "AVIF"
"""The names that Pillow and its plugins give the formats."""
NAMED = "JPEG, PNG, WebP, GIF, HEIC and AVIF"
"""The formats in words."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
# Still pictures and sequences in HEVC (ISO/IEC 23008-12, B.4), and `mif1`, with which some phones begin such a file.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_MOST_BRANDS = 64


def format_of(data: bytes) -> str:
    """Returns one of the names above. Raises UnsupportedPicture for anything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return GIF
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        # An AVIF may also name the general brands; a HEIC never names those of AVIF.
        if not brands.isdisjoint(_AVIF_BRANDS):
            return AVIF
        if not brands.isdisjoint(_HEIF_BRANDS):
            return HEIF
    raise UnsupportedPicture(f"only {NAMED} pictures are accepted")


def _brands(data: bytes) -> set[bytes]:
    """Returns the major and the compatible brands of the box `ftyp` (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MOST_BRANDS, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
