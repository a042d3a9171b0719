"""The sizes of a picture among which a browser chooses: as in api/web/ui/picture.js. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IN_LIST = "(max-width: 30rem) 8rem, 20rem"
IN_GALLERY = "(max-width: 60rem) and (min-resolution: 2.5dppx) 55vw, (max-width: 60rem) calc(100vw - 2rem), 43rem"
"""How wide a picture is there: `sizes` of an image (HTML, 4.8.4.2.2).

On the finest screens, those of phones, nobody sees the difference that three times the bytes would make: there it says
about half of the width.
"""


def srcset(picture: Mapping[str, Any]) -> str:
    """Returns `srcset` of an image, from a picture's JSON; "" if there is only one size.

    A small picture is not enlarged, so several sizes may be equally wide: then the first is enough.
    """
    if not picture["sizes"]:
        return ""
    addresses: dict[int, str] = {}
    for one in (*picture["sizes"], picture):
        addresses.setdefault(one["width"], one["url"])
    return ", ".join(f"{address} {width}w" for width, address in addresses.items())
