"""The facts about a car, as api/web/facts.js shows them: each with its label and how its value is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from api.pages import words
from api.pages.isolate import isolated
from api.pages.units import Units

Show = Callable[[Any], str]


def _choice(**others: str) -> Show:
    """Returns how values of a closed list are written: "like_new" as "Like new", `others` as they are given."""
    return lambda value: others.get(value) or str(value).replace("_", " ").capitalize()


FACTS: Mapping[str, tuple[str, Show]] = {
    "make": ("Make", str),
    "model": ("Model", str),
    "year": ("Year", str),
    "mileage": ("Mileage", str),
    "location": ("Location", str),
    "fuel": ("Fuel", _choice(lpg="LPG", cng="CNG", plug_in_hybrid="Plug-in hybrid")),
    "transmission": ("Transmission", _choice(cvt="CVT", semi_automatic="Semi-automatic")),
    "body": ("Body", _choice(suv="SUV")),
    "drive": (
        "Drive",
        _choice(front="Front wheels", rear="Rear wheels", all="All wheels", four="Four wheels, switchable"),
    ),
    "colour": ("Colour", _choice()),
    "doors": ("Doors", str),
    "power_kw": ("Power", words.kilowatts),
    "engine_cc": ("Engine size", words.cubic_centimetres),
    "owners": ("Owners so far", str),
    "condition": ("Condition", _choice()),
    "title_status": (
        "Papers",
        _choice(clean="Clean title", lien="Lien: a lender has a claim", missing="Title is missing"),
    ),
}
"""By name of the field. Visitors do not see the VIN. A mileage is written in the unit of the site."""


def fact(name: str, value: Any, units: Units) -> tuple[str, str]:
    """Returns the label and the value in words of what is known about the car."""
    label, show = FACTS[name]
    return label, units.mileage(value) if name == "mileage" else show(value)


def alike(listing: Mapping[str, Any]) -> str | None:
    """Returns the address of a search for cars like this one; None if its make is not known."""
    make, model = listing["make"], listing["model"]
    if not make:
        return None
    return f"/?make={_quoted(make)}&model={_quoted(model)}" if model else f"/?make={_quoted(make)}"


_quoted = lru_cache(maxsize=1000)(quote_plus)
"""Few makes and models are on most cars."""


def in_a_line(listing: Mapping[str, Any], units: Units) -> str:
    """Returns the most important facts in one line."""
    mileage = listing["mileage"]
    metres = listing.get("distance_m")
    away = None if metres is None else units.away(metres)
    parts = (
        listing["year"],
        None if mileage is None else units.mileage(mileage),
        listing["location"] and isolated(listing["location"]),
        away,
    )
    return " · ".join(str(part) for part in parts if part)
