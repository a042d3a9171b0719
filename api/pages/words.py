"""Numbers and times as the pages write them: the same words as in api/web/format.js."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LEFT = "Somebody who left"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def kilowatts(value: int) -> str:
    # Half a horsepower counts as one, as JavaScript rounds.
    return f"{value:,} kW ({math.floor(value * 1.341 + 0.5):,} hp)"


def cubic_centimetres(value: int) -> str:
    return f"{value:,} cc"


def owners(value: int) -> str:
    return f"{value:,} owner{'' if value == 1 else 's'}"


def found(number: int, has_more: bool) -> str:
    """Returns how many cars a search found; there may be more than the page has."""
    if not number:
        return "No cars"
    return f"{number:,}+ cars" if has_more else f"{number:,} car{'' if number == 1 else 's'}"


def price_before(listing: Mapping[str, Any]) -> int | None:
    """Returns the price before the present one, if that is lower."""
    history, now = listing["price_history"], listing["price"]
    before = history[-1]["price"] if history else None
    return before if now is not None and before is not None and now < before else None


def date(time: str) -> str:
    """Returns the day of a time as the API writes it (shared/domain/times.py).

    The modules replace it by "5 minutes ago" and the like.
    """
    return f"{_MONTHS[int(time[5:7]) - 1]} {int(time[8:10])}, {int(time[:4])}"


def date_time(time: str) -> str:
    """Returns such a time in words: "Jan 31, 2026, 23:59 UTC"."""
    return f"{date(time)}, {time[11:16]} UTC"


def name_of(person: dict[str, str]) -> str:
    """Returns the name to show. Deleted accounts have an empty name."""
    return person["name"] or LEFT


def seller_facts(seller: Mapping[str, Any]) -> list[str]:
    """Returns what the page says of a seller: the same words as in api/web/seller_facts.js."""
    year, month = seller["member_since"].split("-")
    count, answers = seller["listing_count"], seller["answers"]
    said = [f"Member since {_MONTHS[int(month) - 1]} {year}", f"{count:,} car{'' if count == 1 else 's'} on Daveslist"]
    if answers is not None:
        said.append(f"Answers {answers['within_a_day']}% of first messages within a day")
    if seller["confirmed_address"]:
        said.append("Has confirmed an e-mail address")
    return said


def excerpt(text: str, longest: int) -> str:
    """Returns the text in one line, cut after a word if it is longer."""
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    return line[:longest].rsplit(" ", 1)[0] + "…"
