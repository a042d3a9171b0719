"""The server reads numbers in an address as the page's modules read them in a field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from multidict import MultiDict

from api.pages.asked import asked
from api.pages.numbers import read_number

KNOWN: dict[str, list[Any]] = json.loads((Path(__file__).parents[1] / "numbers.json").read_text(encoding="utf-8"))
# Before a "k" the reader's locale decides, which the server does not know.
IN_ANY_LOCALE = [(text, number) for text, locale, number in KNOWN["read"] if "50k" not in text or locale == "en-US"]


@pytest.mark.parametrize(("text", "number"), IN_ANY_LOCALE)
def test_a_number_is_read_as_people_write_it(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(("text", "unit", "number"), KNOWN["with_unit"])
def test_the_unit_of_the_field_may_stand_behind_the_number(text: str, unit: str, number: int | None) -> None:
    assert read_number(text, unit) == number


@pytest.mark.parametrize("text", [*KNOWN["no_numbers"], "", " ", "5" * 61, "\x00", "\ud800"])
def test_what_is_no_number_is_not_read_as_one(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("unit", "words", "meant"),
    [("km", "137 000 km", "137000"), ("mi", "137 000 km", "137 000 km"), ("mi", "85k mi", "85000")],
)
def test_a_distance_is_in_the_unit_of_the_site(unit: str, words: str, meant: str) -> None:
    assert asked(MultiDict(mileage_max=words), unit).values == {"mileage_max": meant}
