"""The bytes of a page's document. Pure.

Its middle, with the style, is the same in many pages and longer than the rest: it is kept ready, also compressed.
"""

from __future__ import annotations

import hashlib
import zlib
from struct import pack
from typing import Any, NamedTuple

_LEVEL = 2
"""A page is compressed while its reader waits: higher levels take much longer and save some hundred bytes."""
_RAW = -15
"""What zlib calls its largest window without a head (RFC 1951)."""
_OWN: Any = {"level": _LEVEL, "wbits": -14, "memLevel": 6}
"""For what is a page's own: zlib's usual sizes make it prepare 256 KiB for some thousand bytes."""
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Of gzip (RFC 1952, 2.3): no name, no time, an unknown system."""
_WINDOW = 1 << 14


class Middle:
    """The part of a document that many pages have in common."""

    __slots__ = ("_behind", "_check", "_check_after", "compressed", "digest", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.digest = hashlib.sha256(text).digest()
        packer = zlib.compressobj(9, zlib.DEFLATED, _RAW)
        # A flush ends it at a whole byte, so that anything can be before and behind it.
        self.compressed = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
        self._behind = zlib.compressobj(**_OWN, zdict=text[-_WINDOW:])
        self._check = zlib.crc32(text)
        # What this text makes of a checksum before it is linear in the bits of that checksum.
        of_bits = [zlib.crc32(text, 1 << bit) ^ self._check for bit in range(32)]
        self._check_after = tuple(_of_byte(of_bits[first : first + 8]) for first in range(0, 32, 8))

    def check_after(self, before: int) -> int:
        """Returns the CRC-32 of a text with this checksum and of the middle behind it, without reading the middle."""
        one, two, three, four = self._check_after
        return self._check ^ one[before & 255] ^ two[before >> 8 & 255] ^ three[before >> 16 & 255] ^ four[before >> 24]

    def compress_behind(self, text: bytes) -> bytes:
        """Returns the compressed end of a document. It can repeat what is in the middle."""
        packer = self._behind.copy()
        return packer.compress(text) + packer.flush()


class Page(NamedTuple):
    """A document as it is sent, with its entity tag."""

    before: bytes
    middle: bytes
    """The page shares it with many others."""
    behind: bytes
    tag: str

    @property
    def body(self) -> bytes:
        return b"".join((self.before, self.middle, self.behind))

    @property
    def own_bytes(self) -> int:
        """The bytes of all but the middle."""
        return len(self.before) + len(self.behind)


def page_of(before: bytes, middle: Middle, behind: bytes) -> Page:
    """Returns the document of what is before its middle, the middle, and what is behind it."""
    return Page(before, middle.text, behind, _tag(before, middle, behind))


def gzipped_page_of(before: bytes, middle: Middle, behind: bytes) -> Page:
    """Returns the same in gzip, with the same tag."""
    packer = zlib.compressobj(**_OWN)
    first = _HEAD + packer.compress(before) + packer.flush(zlib.Z_SYNC_FLUSH)
    check = zlib.crc32(behind, middle.check_after(zlib.crc32(before)))
    length = len(before) + len(middle.text) + len(behind)
    last = middle.compress_behind(behind) + pack("<LL", check, length & 0xFFFFFFFF)
    return Page(first, middle.compressed, last, _tag(before, middle, behind))


def _of_byte(of_bits: list[int]) -> tuple[int, ...]:
    """Returns for each byte the bits' values together."""
    values = [0]
    for bit in of_bits:
        values += [value ^ bit for value in values]
    return tuple(values)


def _tag(before: bytes, middle: Middle, behind: bytes) -> str:
    digest = hashlib.sha256(before)
    digest.update(middle.digest)
    digest.update(behind)
    return f'"{digest.hexdigest()[:24]}"'
