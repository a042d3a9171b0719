"""What a search asks, part by part in words, each with the address without it: as api/web/search_name.js. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from api.pages import words
from api.pages.asked import Asked
from api.pages.facts import FACTS
from api.pages.isolate import isolated
from api.pages.units import Units

_CHOICES = ("fuel", "transmission", "body", "drive", "colour", "condition", "title_status")
_STATUSES = {"sold": "sold", "any": "sold ones too"}
_NUMBER = re.compile("[0-9]{1,15}")


class Part(NamedTuple):
    """`name` is the first parameter of the part; `path` is the address of the search without it."""

    name: str
    words: str
    path: str


def parts_of(search: Asked, category: str | None, units: Units) -> list[Part]:
    """Returns the parts of the search; `category` is the name of the category that it asks for, if visitors see it."""
    asked = search.values
    near = asked.get("near")
    within = asked.get("within")
    found: list[tuple[Sequence[str], str | None]] = [
        (("q", "verbatim"), asked.get("q")),
        (("make",), asked.get("make")),
        (("model",), asked.get("model")),
        (("category_id",), category),
        (("year_min", "year_max"), _range(search, "year", str)),
        (("price_min", "price_max"), _range(search, "price", units.price)),
        (("mileage_max",), _up_to(asked.get("mileage_max"), units.mileage)),
        *(((name,), _one_of(name, asked.get(name))) for name in _CHOICES),
        (("doors",), f"{asked['doors'].replace(',', ' or ')} doors" if "doors" in asked else None),
        (("power_kw_min", "power_kw_max"), _range(search, "power_kw", words.kilowatts)),
        (("engine_cc_min", "engine_cc_max"), _range(search, "engine_cc", words.cubic_centimetres)),
        (("owners_max",), f"at most {_shown(asked['owners_max'], words.owners)}" if "owners_max" in asked else None),
        (
            ("near", "within"),
            f"within {within} of {isolated(near)}" if near and within else near and f"near {isolated(near)}",
        ),
        (("status",), _STATUSES.get(asked.get("status", ""))),
    ]
    return [Part(names[0], said, search.without(*names).path()) for names, said in found if said]


def _range(search: Asked, name: str, show: Callable[[int], str]) -> str | None:
    least, most = search.values.get(f"{name}_min"), search.values.get(f"{name}_max")
    if least and most:
        return f"{_shown(least, show)} to {_shown(most, show)}"
    return f"from {_shown(least, show)}" if least else _up_to(most, show)


def _up_to(most: str | None, show: Callable[[int], str]) -> str | None:
    return f"up to {_shown(most, show)}" if most else None


def _shown(value: str, show: Callable[[int], str]) -> str:
    """Returns the number in words. Anybody can write an address, so it may be any other text too."""
    return show(int(value)) if _NUMBER.fullmatch(value) else isolated(value)


def _one_of(name: str, values: str | None) -> str | None:
    return " or ".join(FACTS[name][1](value) for value in values.split(",")) if values else None
