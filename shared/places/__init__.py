"""The table of places: towns of the world and ZIP codes of the USA, each with its position. No network, no database.

`places.xz` was made by development/gazetteer.py; LICENSE.txt says from what. It is sorted text, in which a name is
found by bisection, so that it needs no index and little memory. Its lines, with tabs between the fields:

    plain name, id, name, region, country, people, latitude, longitude    a town; its id is the one of GeoNames
    ZIP code, minus the code, "", "", "US", 0, latitude, longitude          a ZIP code
    another plain name, id, plain name                                     another name of a town
    @ and a plain name or code, codes                                      a country, or a region such as a state

`name` is empty if it is the plain name with capital letters.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from shared.domain.geography import Place
from shared.places.names import plain

_TABLE = Path(__file__).with_name("places.xz")
_ZIP = re.compile(r"(?:^|[\s,]\s*)([0-9]{5})(?:-[0-9]{4})?\s*$")
_LONGEST = 200
_MOST_WORDS_OF_A_REGION = 3


@cache
def _table() -> bytes:
    return lzma.decompress(_TABLE.read_bytes())


def load() -> None:
    """Read the table now, which takes a tenth of a second. Otherwise the first look-up does it."""
    _table()


def find_place(text: str) -> Place | None:
    """Returns the place that a person means: a ZIP code, or a town, if need be with its region or country.

    `Paris`, `Paris, TX`, `Paris, Texas, USA`, `75460` and `Paris, TX 75460` are five of them. Of several towns with the
    name, it is the one with the most people. Words that name no place are ignored if others do: a district, a street.
    None if nothing names a place.
    """
    if len(text) > _LONGEST:
        return None
    parts = [part for part in map(str.strip, text.split(",")) if part]
    zip_code = _ZIP.search(text)
    if zip_code is not None and (zip_code.start() == 0 or _is_american(_before_number(parts[-1]))):
        found = _best(_named(zip_code[1]), ())
        if found is not None:
            return found
    names = [name for part in parts if (name := _without_numbers(plain(part)))]
    regions = [_regions(name) for name in names]
    for index, name in enumerate(names):
        if index and regions[index]:
            continue
        others = [codes for at, codes in enumerate(regions) if at > index and codes]
        found = _town(name, others)
        if found is not None:
            return found
    # Berlin is a region too, and so is New York: the town that a district is in has the name of its own region.
    for index, name in enumerate(names):
        found = _best(_named(name), regions[index:]) if index and regions[index] else None
        if found is not None and all(regions[index:]):
            return found
    return None


def _town(name: str, regions: Sequence[Sequence[str]], more: int = 2) -> Place | None:
    """Returns the town with this name, or whose name the words begin with, if the words after it name regions.

    At most so many `more` regions: its own and a country.
    """
    found = _best(_named(name), regions)
    words = name.split(" ")
    for count in range(1, min(_MOST_WORDS_OF_A_REGION, len(words) - 1) + 1 if more else 1):
        if found is not None:
            break
        codes = _regions(" ".join(words[-count:]))
        if codes:
            found = _town(" ".join(words[:-count]), [*regions, codes], more - 1)
    return found


def _best(candidates: Sequence[tuple[bool, int, Place]], regions: Sequence[Sequence[str]]) -> Place | None:
    """Returns the candidate in all of the regions with the most people; towns that are really called so come first."""
    fitting = [one for one in candidates if all(_is_in(one[2], codes) for codes in regions)]
    return max(fitting, key=lambda one: one[:2], default=(False, 0, None))[2]


def _is_in(place: Place, codes: Sequence[str]) -> bool:
    if place.country in codes or f"{place.country}-{place.region}" in codes:
        return True
    # The region of some towns is not known.
    return not place.region and any(code.startswith(f"{place.country}-") for code in codes)


def _named(name: str) -> list[tuple[bool, int, Place]]:
    """Returns the places with this plain name, each with whether it is its own name, and the number of its people."""
    found: list[tuple[bool, int, Place]] = []
    for fields in _lines(name):
        if len(fields) > 2:
            found.append((True, int(fields[4]), _place(name, fields)))
        else:
            own = [other for other in _lines(fields[1]) if other[0] == fields[0] and len(other) > 2]
            found += [(False, int(other[4]), _place(fields[1], other)) for other in own]
    return found


def _place(name: str, fields: Sequence[str]) -> Place:
    number, shown, region, country, _, latitude, longitude = fields
    return Place(int(number), shown or name.title(), region, country, float(latitude), float(longitude))


def _regions(name: str) -> list[str]:
    """Returns the codes of the countries and states with this name or code."""
    return [code for fields in _lines(f"@{name}") for code in fields[0].split(" ")] if name else []


def _is_american(name: str) -> bool:
    """True if this is a name or code of the USA or of one of its states."""
    return any(code.partition("-")[0] == "US" for code in _regions(name))


def _lines(key: str) -> Iterator[list[str]]:
    """Yields the fields after the key, of each line with this key."""
    table, wanted = _table(), key.encode("utf-8", "replace") + b"\t"
    low, high = 0, len(table) - 1
    # The greatest place in the table, just before a line, before which all lines are smaller than the wanted one.
    while low < high:
        middle = table.rfind(b"\n", low, (low + high) // 2 + 1)
        if middle < 0:
            middle = low
        end = table.find(b"\n", middle + 1)
        if end < 0:
            break
        if table[middle + 1 : end] < wanted:
            low = end
        else:
            high = middle
    position = low
    while table.startswith(wanted, position + 1):
        end = table.index(b"\n", position + 1)
        yield table[position + 1 + len(wanted) : end].decode().split("\t")
        position = end


def _without_numbers(name: str) -> str:
    """Returns the name without postal codes, which stand before the town in most countries."""
    return " ".join(word for word in name.split(" ") if not word.isdigit())


def _before_number(part: str) -> str:
    return _without_numbers(plain(part)).rpartition(" ")[2]
