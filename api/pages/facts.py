"""The facts about a car, as api/web/facts.js shows them: each with its label and how its value is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from api.pages import words

Show = Callable[[Any], str]

FACTS: Mapping[str, tuple[str, Show]] = {
    "make": ("Make", str),
    "model": ("Model", str),
    "year": ("Year", str),
    "mileage": ("Mileage", words.miles),
    "location": ("Location", str),
}


def facts(listing: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the labels and values of what is known about the car."""
    known = ((label, show, listing.get(name)) for name, (label, show) in FACTS.items())
    return [(label, show(value)) for label, show, value in known if value is not None]


def in_a_line(listing: Mapping[str, Any]) -> str:
    """Returns the most important facts in one line."""
    mileage = listing["mileage"]
    parts = (listing["year"], None if mileage is None else words.miles(mileage), listing["location"])
    return " · ".join(str(part) for part in parts if part)
