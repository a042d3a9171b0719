"""The cards of cars in a list, as api/web/ui/card.js draws them. Pure.

Many lists show the same cars, so the last cards are kept, each under all that it is made of: the car's JSON.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from markupsafe import Markup

from api.pages.rendering import rendered
from api.pages.units import Units

_KEPT = 2_000
_LONGEST = 4_000
"""The bytes of a car's JSON; cards of longer ones are not kept."""


class _Found(msgspec.Struct):
    data: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Found).decode


def cards_of(found_json: bytes, units: Units) -> list[Markup]:
    """Returns the cards of a page of listings, which is given as the API answers it."""
    each = (bytes(one) for one in _decode(found_json).data)
    return [(_kept_card if len(one) <= _LONGEST else _card)(one, units, place == 0) for place, one in enumerate(each)]


def _card(listing_json: bytes, units: Units, is_first: bool) -> Markup:
    values = {"listing": msgspec.json.decode(listing_json), "units": units, "is_first": is_first}
    return Markup(rendered("card.html", values).decode())


_kept_card = lru_cache(maxsize=_KEPT)(_card)
