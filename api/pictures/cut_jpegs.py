"""JPEGs that end too early, as copies that were broken off and some cameras leave them. Browsers show such pictures.

If nothing that people would miss is missing, the picture gets the end marker that a decoder needs; otherwise it is
damaged. Half a car on a grey ground helps nobody, so less is taken than what browsers show.
"""

from __future__ import annotations

import contextlib
from io import BytesIO

from PIL import Image, ImageChops

from api.pictures.errors import BrokenPicture
from api.pictures.structure import EOI, SOS, jpeg_segments

_MISSING_ROWS = 16
"""The most rows of pixels that may be missing at the lower edge: the height of one row of blocks..."""
_MISSING_SHARE = 0.05
"""... or this share of the height, if that is more."""
_COEFFICIENTS = 64
_SMALLEST = 8
"""The decoder can scale down to an eighth, which saves most of the time."""


def with_end(data: bytes) -> bytes:
    """Returns the JPEG, with an end if it has none. Raises BrokenPicture if too much of it is missing.

    Call `check_structure` first, which bounds the number of segments.
    """
    segments = list(jpeg_segments(data))
    if not segments or segments[-1][0] == EOI:
        return data
    scans = [data[at:] for marker, at in segments if marker == SOS]
    is_whole = _has_all_scans(scans) if len(scans) > 1 else _has_nearly_all_rows(data)
    if not is_whole:
        raise BrokenPicture("the picture is damaged or incomplete")
    return data + bytes((0xFF, EOI))


def _has_all_scans(scans: list[bytes]) -> bool:
    """True if the scans, the last of which may be incomplete, give all bits of all coefficients (T.81, G.1.1.1.1)."""
    missing_bits: dict[int, list[int]] = {}
    for scan in scans:
        if len(scan) < 6:
            return False
        components = scan[2]
        first, last, bits = scan[3 + 2 * components : 6 + 2 * components].ljust(3, b"\xff")
        for component in scan[3 : 3 + 2 * components : 2]:
            # 16 is more bits than a coefficient has.
            coefficients = missing_bits.setdefault(component, [16] * _COEFFICIENTS)
            coefficients[first : last + 1] = [bits & 0x0F] * len(coefficients[first : last + 1])
    return bool(missing_bits) and not any(any(coefficients) for coefficients in missing_bits.values())


def _has_nearly_all_rows(data: bytes) -> bool:
    """True if a decoder that gets no end marker delivers nearly all rows.

    It decodes onto black and onto white: what differs was not delivered.
    """
    black, white = _decoded_onto(0, data), _decoded_onto(255, data)
    missing = ImageChops.difference(black, white).getbbox()
    if missing is None:
        return True
    rows = (black.height - missing[1]) * _SMALLEST
    return rows <= max(_MISSING_ROWS, _MISSING_SHARE * black.height * _SMALLEST)


def _decoded_onto(shade: int, data: bytes) -> Image.Image:
    with Image.open(BytesIO(data), formats=("JPEG",)) as source:
        source.draft(None, (1, 1))
        ground = Image.new(source.mode, source.size, (shade,) * len(source.getbands()))
        # The decoder writes into this image.
        source.im = ground.im
        # It fails where the data ends, which is to be found out.
        with contextlib.suppress(OSError):
            source.load()
        return ground
