"""Searching near a place: which listings are found, in which order, how far they are, and what is refused."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from shared.postgres import Statement
from shared.repositories.places import place_listings
from tests.api.conftest import SHARES_THE_API, Api, MakeApi, Person
from tests.api.rows import Rows
from tests.api.test_listings import new_listing
from tests.api.ways import BOUNDS, take

pytestmark = pytest.mark.usefixtures("at_rest")

# Kilometres from Austin, by other people's tables: San Antonio 118, Houston 235, Dallas 293.
TOWNS = ["Dallas, TX", "Austin, TX", "Houston TX", "San Antonio, Texas", "Munich", "nowhere at all", None]
NEAREST = ["Austin, TX", "San Antonio, Texas", "Houston TX", "Dallas, TX", "Munich"]


@pytest.fixture
async def seller(api: Api) -> Person:
    return await api.register()


@pytest.fixture
async def cars(api: Api, rows: Rows, seller: Person) -> dict[Any, int]:
    return {town: (await new_listing(api, rows, seller, location=town, price=5))["id"] for town in TOWNS}


async def found(api: Api, query: dict[str, str]) -> list[Any]:
    return list((await api.call("GET", "/api/listings", 200, params=query))["data"])


async def test_the_nearest_come_first_with_their_distance(api: Api, cars: dict[Any, int]) -> None:
    for near in ("Austin", "austin, tx", "30.267,-97.743", "78701", "Austin, TX 78701"):
        page = await found(api, {"near": near, "sort": "distance"})
        assert [one["location"] for one in page] == NEAREST, near
    page = await found(api, {"near": "Austin", "sort": "distance"})
    # The earth is not quite round.
    assert [one["distance_m"] / 1000 for one in page[:4]] == pytest.approx([0, 118, 235, 293], rel=0.01)
    newest = await found(api, {"near": "Austin"})
    assert {one["id"]: one["distance_m"] for one in newest} == {one["id"]: one["distance_m"] for one in page}
    assert [one["id"] for one in newest] == sorted((one["id"] for one in page), reverse=True)


async def test_a_place_that_a_failover_has_lost_is_there_again_with_the_next_listing(
    api: Api, rows: Rows, seller: Person
) -> None:
    await new_listing(api, rows, seller, location="Austin, TX")
    await rows.execute("DELETE FROM places")
    await new_listing(api, rows, seller, location="Austin, TX")
    assert len(await found(api, {"near": "Austin", "within": "1km"})) == 2


async def test_only_listings_within_the_distance_are_found(api: Api, cars: dict[Any, int]) -> None:
    for within, expected in {
        "1km": NEAREST[:1], "117km": NEAREST[:1], "120km": NEAREST[:2], "70mi": NEAREST[:1], "75 mi": NEAREST[:2],
        "240.5km": NEAREST[:3], "300km": NEAREST[:4], "20000km": NEAREST, "0.001mi": NEAREST[:1],
    }.items():  # fmt: skip
        for more in ({}, {"q": "camry", "price_max": "5", "status": "any"}):
            for sort in ("distance", "price") if more else ("newest", "-year"):
                page = await found(api, {"near": "Austin, TX", "within": within, "sort": sort, **more})
                assert {one["location"] for one in page} == set(expected), (within, more, sort)
    assert await found(api, {"near": "-33.9,151.2", "within": "5km"}) == []


async def test_listings_without_a_known_place_are_found_by_every_other_search(api: Api, cars: dict[Any, int]) -> None:
    unknown = {cars[None], cars["nowhere at all"]}
    everything = {one["id"] for one in await found(api, {"price_max": "5"})}
    assert everything == set(cars.values()) > unknown
    assert all("distance_m" not in one for one in await found(api, {"price_max": "5"}))
    assert {one["id"] for one in await found(api, {"near": "Austin"})} == everything - unknown


async def test_a_listing_moves_with_its_location(api: Api, rows: Rows, seller: Person, cars: dict[Any, int]) -> None:
    path = f"/api/listings/{cars['Munich']}"
    near = {"near": "Austin", "within": "10km", "sort": "distance"}
    await api.call("PATCH", path, 200, who=seller, json={"location": "78701"})
    assert [one["id"] for one in await found(api, near)] == [cars["Austin, TX"], cars["Munich"]]
    await api.call("PATCH", path, 200, who=seller, json={"price": 7})
    assert len(await found(api, near)) == 2
    for gone in (None, "my garage"):
        await api.call("PATCH", path, 200, who=seller, json={"location": "78701"})
        await api.call("PATCH", path, 200, who=seller, json={"location": gone})
        assert [one["id"] for one in await found(api, near)] == [cars["Austin, TX"]]


async def test_the_sellers_own_position_is_stored_nowhere(api: Api, rows: Rows, seller: Person) -> None:
    for location in ("12 Main Street, Austin, TX", "30.26712,-97.74315", "Austin, TX"):
        await new_listing(api, rows, seller, location=location)
    assert await rows.fetch("SELECT name FROM places") == [("Austin",)]
    assert await rows.fetch("SELECT count(*) FROM listings WHERE place_id IS NOT NULL") == [(2,)]


@SHARES_THE_API
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"near": ""}, "near"),
        ({"near": "Nowhere-on-Sea"}, "near"),
        ({"near": "00000"}, "near"),
        ({"near": "91,0"}, "near"),
        ({"near": "-90.1,0"}, "near"),
        ({"near": "0,180.5"}, "near"),
        ({"near": "0,-181"}, "near"),
        ({"near": "1e5,2"}, "near"),
        ({"near": "10,"}, "near"),
        ({"near": "x" * 101}, "near"),
        ({"near": "Austin\x00"}, "near"),
        ({"near": "', now()"}, "near"),
        ({"near": "%s"}, "near"),
        ({"within": "5km"}, "within"),
        ({"near": "Austin", "within": "5"}, "within"),
        ({"near": "Austin", "within": "km"}, "within"),
        ({"near": "Austin", "within": "-5km"}, "within"),
        ({"near": "Austin", "within": "0km"}, "within"),
        ({"near": "Austin", "within": "5 miles"}, "within"),
        ({"near": "Austin", "within": "999999mi"}, "within"),
        ({"near": "Austin", "within": "1e3km"}, "within"),
        ({"near": "Austin", "within": "\u0665km"}, "within"),
        ({"sort": "distance"}, "sort"),
        ({"near": "Austin", "sort": "-distance"}, "sort"),
    ],
)
async def test_wrong_places_and_distances_are_422_with_their_field(
    shared_api: Api, query: dict[str, str], field: str
) -> None:
    for path in ("/api/listings", "/api/listings/facets"):
        problem = await shared_api.call("GET", path, 422, params=query)
        assert set(problem["errors"]) == {field}


@pytest.mark.parametrize("point", ["90,0", "-90,0", "0,180", "0,-180", "+1.5, -2", "0,0", "0.0000001,0.000001"])
async def test_every_point_of_the_earth_is_a_place(api: Api, cars: dict[Any, int], point: str) -> None:
    for more in (
        {},
        {"within": "20000km"},
        {"sort": "distance"},
        {"sort": "distance", "within": "20000.5mi"[:7] + "km"},
    ):
        assert len(await found(api, {"near": point, **more})) == 5


@pytest.mark.parametrize("ways", BOUNDS)
async def test_pages_by_distance_neither_repeat_nor_skip_by_any_plan(
    make_api: MakeApi, rows: Rows, monkeypatch: pytest.MonkeyPatch, ways: str
) -> None:
    api = await make_api(rate_limits=False)
    take(ways, monkeypatch)
    seller, draw = await api.register(), random.Random(3)
    category = await rows.category()
    # Several towns, two of them at the same distance, with several listings each.
    towns = {1: (30.0, -97.0), 2: (30.0, -98.0), 3: (30.5, -97.5), 4: (-30.0, 50.0), 5: (30.0, -97.5)}
    for known, (latitude, longitude) in towns.items():
        await rows.execute(
            "INSERT INTO places VALUES (%s, 'x', '', 'US', ll_to_earth(%s, %s))", known, latitude, longitude
        )
    cars: list[tuple[int, int | None, str]] = []
    for _ in range(40):
        place: int | None = draw.choice([*towns, None])
        fuel = draw.choice(["diesel", "lpg"])
        cars.append((await rows.listing(seller.id, category, place_id=place, fuel=fuel), place, fuel))

    def distance(place_id: int) -> int:
        (a, b), (c, d) = [(math.radians(x), math.radians(y)) for x, y in ((30.0, -97.5), towns[place_id])]
        chord = math.sqrt(
            (math.cos(a) * math.cos(b) - math.cos(c) * math.cos(d)) ** 2
            + (math.cos(a) * math.sin(b) - math.cos(c) * math.sin(d)) ** 2
            + (math.sin(a) - math.sin(c)) ** 2
        )
        return round(2 * 6378168 * math.asin(chord / 2))

    for query, chosen in (
        ("near=30,-97.5&sort=distance", cars),
        ("near=30,-97.5&within=100km&sort=distance", [car for car in cars if car[1] != 4]),
        ("near=30,-97.5&within=100km&sort=distance&fuel=lpg", [car for car in cars if car[1] != 4 and car[2] == "lpg"]),
        ("near=30,-97.5&within=50km&sort=distance&fuel=lpg&q=car", [
            car for car in cars if car[1] not in (None, 4, 3) and car[2] == "lpg"
        ] if distance(3) > 50_000 else []),
    ):  # fmt: skip
        expected = sorted((distance(place), car) for car, place, _ in chosen if place is not None)
        pages = await api.every_page(f"/api/listings?{query}", limit=3)
        assert [(one["distance_m"], one["id"]) for one in pages] == expected, query


async def test_a_cursor_by_distance_goes_on_where_it_was_after_listings_come_and_go(
    api: Api, rows: Rows, seller: Person
) -> None:
    ids = [(await new_listing(api, rows, seller, location=town))["id"] for town in ("Austin", "Houston TX", "Dallas")]
    query = {"near": "Austin", "sort": "distance", "limit": "1"}
    first = await api.call("GET", "/api/listings", 200, params=query)
    await new_listing(api, rows, seller, location="Austin")
    await rows.execute("UPDATE listings SET trashed_at = now() WHERE id = %s", ids[0])
    rest = await api.call("GET", "/api/listings", 200, params={**query, "limit": "9", "cursor": first["next_cursor"]})
    assert [one["id"] for one in first["data"]] == ids[:1]
    assert [one["id"] for one in rest["data"]][-2:] == ids[1:]
    problem = await api.call("GET", "/api/listings", 422, params={"cursor": first["next_cursor"]})
    assert set(problem["errors"]) == {"cursor"}


async def test_earlier_listings_are_brought_to_their_places(api: Api, rows: Rows, seller: Person) -> None:
    category = await rows.category()
    earlier = [
        await rows.listing(seller.id, category, location=town) for town in ("Austin, TX", "austin", "?", "Dallas")
    ]
    assert await place_listings(rows.database) == 3
    assert await place_listings(rows.database) == 0
    page = await found(api, {"near": "Austin", "sort": "distance"})
    assert [one["id"] for one in page] == [earlier[0], earlier[1], earlier[3]]


async def test_concurrent_first_listings_of_a_town_make_one_place(api: Api, rows: Rows, seller: Person) -> None:
    category = await rows.category()
    body = {"title": "A car", "content": "It drives.", "category_id": category, "location": "Austin, TX"}
    async with rows.database.transaction() as transaction:
        await transaction.execute(
            Statement("", "INSERT INTO places VALUES (4671654, 'Austin', 'TX', 'US', ll_to_earth(30.267, -97.743))")
        )
    for _ in range(3):
        await api.call("POST", "/api/listings", 201, who=seller, json=body)
    assert await rows.fetch("SELECT count(*) FROM places") == [(1,)]
