"""The table of places is found by every way in which people write a place, and says where it is from."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import places
from shared.domain.geography import METRES_OF, Point, metres, point
from shared.places import find_place
from shared.places.names import plain


@pytest.mark.parametrize(
    ("text", "country", "region", "name"),
    [
        ("Paris", "FR", "IDF", "Paris"),
        ("Paris, TX", "US", "TX", "Paris"),
        ("paris texas", "US", "TX", "Paris"),
        ("PARIS, Texas, USA", "US", "TX", "Paris"),
        ("75460", "US", "", "75460"),
        ("75460-1234", "US", "", "75460"),
        ("Paris, TX 75460", "US", "", "75460"),
        ("10115 Berlin", "DE", "BE", "Berlin"),
        ("Berlin, Germany", "DE", "BE", "Berlin"),
        ("New York", "US", "NY", "New York City"),
        ("San José, CA", "US", "CA", "San Jose"),
        ("San Jose, Costa Rica", "CR", "08", "San José"),
        ("München", "DE", "BY", "Munich"),
        ("Muenchen", "DE", "BY", "Munich"),
        ("Roma, Italia", "IT", "07", "Rome"),
        ("Rome, GA", "US", "GA", "Rome"),
        ("Łódź", "PL", "74", "Łódź"),
        ("lodz", "PL", "74", "Łódź"),
        ("Москва", "RU", "48", "Moscow"),
        ("東京", "JP", "40", "Tokyo"),
        ("दिल्ली", "IN", "DL", "Delhi"),
        ("L'Aquila", "IT", "01", "L'Aquila"),
        ("L\u2019Aquila", "IT", "01", "L'Aquila"),
        ("Portland, OR", "US", "OR", "Portland"),
        ("Portland, Maine", "US", "ME", "Portland"),
        ("12 Main Street, Boston, MA", "US", "MA", "Boston"),
        ("Schwabing, Munich", "DE", "BY", "Munich"),
        ("  austin ,  tx ", "US", "TX", "Austin"),
        ("Cambridge, UK", "GB", "ENG", "Cambridge"),
        ("St. Louis, MO", "US", "MO", "St. Louis"),
        ("Toronto, ON", "CA", "ON", "Toronto"),
        ("London, Ontario", "CA", "ON", "London"),
        ("london ontario canada", "CA", "ON", "London"),
        ("Richmond, BC", "CA", "BC", "Richmond"),
        ("Richmond, VA", "US", "VA", "Richmond"),
        ("Québec, QC", "CA", "QC", "Québec"),
        ("Sydney, NS", "CA", "NS", "Sydney"),
        ("Newcastle, NSW", "AU", "NSW", "Newcastle"),
        ("Hamilton, Victoria, Australia", "AU", "VIC", "Hamilton"),
        ("Perth, WA", "AU", "WA", "Perth"),
        ("Perth, Scotland", "GB", "SCT", "Perth"),
        ("Newport, Wales", "GB", "WLS", "Newport"),
        ("München, Bayern", "DE", "BY", "Munich"),
        ("Munich, Bavaria", "DE", "BY", "Munich"),
        ("Halle, NRW", "DE", "NW", "Halle"),
        ("Bern, BE", "CH", "BE", "Bern"),
        ("Linz, Oberoesterreich", "AT", "OÖ", "Linz"),
        ("Campo Grande, MS", "BR", "MS", "Campo Grande"),
        ("Aurangabad, Maharashtra", "IN", "MH", "Aurangabad"),
        ("Guadalajara, Jal.", "MX", "JAL", "Guadalajara"),
        ("Córdoba, Andalucía", "ES", "51", "Córdoba"),
        ("Córdoba, Argentina", "AR", "05", "Córdoba"),
        ("Lublin, lubelskie", "PL", "75", "Lublin"),
        ("Prinzenallee, Berlin", "DE", "BE", "Berlin"),
        ("12 Main Street, New York", "US", "NY", "New York City"),
        ("Orchard Road, Singapore", "SG", "", "Singapore"),
        ("Berlin 10115", "DE", "BE", "Berlin"),
    ],
)  # fmt: skip
def test_a_place_is_found_as_people_write_it(text: str, country: str, region: str, name: str) -> None:
    found = find_place(text)
    assert found is not None
    assert (found.country, found.region, found.name) == (country, region, name)


@pytest.mark.parametrize(
    "text", ["", " ", ",", ", ,", "Nowhere-on-Sea", "00000", "99999", "Texas, Nowhere", "Paris, Ohio, Germany",
             "Toronto, Queensland, Canada", "Nowhere, Georgia", "'; --",
             "\ud800", "\x00", "x" * 201, "12345678", "@tx", "@ca\t", "\n", "-10001"]
)  # fmt: skip
def test_text_that_names_no_place_is_none(text: str) -> None:
    assert find_place(text) is None


def test_every_line_of_the_table_is_found() -> None:
    lines = places._table().decode().split("\n")[1:-1]
    assert len(lines) > 100_000
    some = [*random.Random(5).sample(lines, 2_000), lines[0], lines[-1]]
    for line in some:
        key, _, rest = line.partition("\t")
        assert rest.split("\t") in list(places._lines(key)), line


@given(st.text(max_size=120))
def test_any_text_gets_an_answer(text: str) -> None:
    found = find_place(text)
    assert found is None or (-90 <= found.latitude <= 90 and -180 <= found.longitude <= 180)


@example("0:_0")
@given(st.text())
@example("0:_0")
def test_a_plain_name_stays_the_same_when_it_is_made_plain_again(text: str) -> None:
    assert plain(plain(text)) == plain(text)


def test_the_table_is_small_and_its_licence_is_named() -> None:
    assert places._TABLE.stat().st_size < 1_500_000
    licence = places._TABLE.with_name("LICENSE.txt").read_text(encoding="utf-8")
    assert "GeoNames" in licence
    assert "Attribution 4.0" in licence


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,2", Point(1, 2)), (" -90.0 , +180 ", Point(-90, 180)), ("1;2", None), ("1,2,3", None), ("a,b", None),
     ("1,", None),
     ("1.,2", None), ("1e3,2", None), ("\u0661,\u0662", None)],
)  # fmt: skip
def test_a_point_is_two_numbers_of_degrees(text: str, expected: Point | None) -> None:
    assert point(text) == expected


@pytest.mark.parametrize("text", ["90.1,0", "-91,0", "0,181", "0,-180.001", "999,999"])
def test_a_point_beyond_the_earth_is_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="latitude"):
        point(text)


def test_a_distance_has_a_unit() -> None:
    assert metres("30km") == 30_000
    assert metres(" 1.5 mi ") == 1.5 * METRES_OF["mi"]
    for wrong in (
        "",
        "30",
        "km",
        "30m",
        "-1km",
        "0km",
        "0.0mi",
        "20101km",
        "1e3km",
        "30KM",
        "nan km",
        "1" * 400 + "km",
    ):
        assert metres(wrong) is None
