"""Counting the listings of a search for each value of each facet: never of what the asker may not see."""

from __future__ import annotations

import itertools
import random
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.domain.users import Role
from shared.postgres import Statement
from shared.repositories import listing_facets
from shared.repositories.listing_facets import FACETS
from shared.repositories.listing_ways import Search
from tests.api.conftest import SHARES_THE_API, Api, MakeApi, Person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

Counts = dict[str, dict[str, int]]


async def facets(api: Api, query: str = "", who: Person | None = None) -> Any:
    return await api.call("GET", f"/api/listings/facets?{query}", 200, who=who)


def counts(answer: Any) -> Counts:
    return {facet["name"]: {one["value"]: one["count"] for one in facet["values"]} for facet in answer["facets"]}


async def cars(rows: Rows, seller_ids: list[int], count: int) -> None:
    """Listings of every kind: hidden, private, in the trash, sold, of several sellers and categories."""
    draw = random.Random(7)
    categories = [await rows.category(), await rows.category(), await rows.category("private")]
    for number in range(count):
        car: dict[str, Any] = {
            "make": draw.choice(["Toyota", "TOYOTA", "Citroën", "Ford", None]),
            "model": draw.choice(["Camry", "C3", "Focus", None]),
            "fuel": draw.choice(["diesel", "gasoline", "electric", None]),
            "transmission": draw.choice(["manual", "automatic", None]),
            "body": draw.choice(["suv", "sedan", None]),
            "colour": draw.choice(["red", "blue"]),
            "doors": draw.choice([3, 5, None]),
            "price": draw.choice([100, 200, None]),
            "title": draw.choice(["A fine car", "A rusty car"]),
            "status": draw.choice(["available", "available", "sold"]),
            "visibility": draw.choice(["public", "public", "private"]),
        }
        match number % 8:
            case 0:
                car["hidden_at"] = "now()"
            case 1:
                car["trashed_at"] = "now()"
        await rows.listing(draw.choice(seller_ids), draw.choice(categories), **car)


QUERIES = [
    "",
    "fuel=diesel",
    "fuel=diesel,electric&body=suv",
    "make=toyota",
    "make=toyota&model=camry&colour=red",
    "q=rusty",
    "q=rusty&make=Citroen",
    "status=any",
    "status=sold&doors=5",
    "price_min=200&sort=-price",
    "category_id=1",
    "category_id=3&fuel=gasoline",
    "doors=3,5&transmission=manual&colour=blue&status=any",
    "q=nothinglikethis",
]


@pytest.mark.parametrize("kind", ["visitor", "user", "seller", "moderator", "admin"])
async def test_every_count_is_what_paging_through_gives(make_api: MakeApi, rows: Rows, kind: str) -> None:
    api = await make_api(rate_limits=False)
    people = [await api.register() for _ in range(3)]
    others = {
        "user": Role.USER,
        "moderator": Role.MODERATOR,
        "admin": Role.ADMIN,
    }
    who: Person | None = None
    if kind in others:
        who = await api.register(role=others[kind])
    elif kind == "seller":
        who = people[0]
    await cars(rows, [one.id for one in people], 120)
    await rows.execute("UPDATE users SET banned_at = now(), ban_reason = 'fraud' WHERE id = %s", people[2].id)
    queries = [*QUERIES, *(["hidden=true", "hidden=false&fuel=diesel"] if kind in ("moderator", "admin") else [])]
    for query in queries:
        answer = await facets(api, query, who)
        assert not answer["total_at_least"]
        whole = await api.every_page(f"/api/listings?{query}", who=who, limit=100)
        assert answer["total"] == len(whole), query
        for name, found in counts(answer).items():
            without = "&".join(part for part in query.split("&") if not part.startswith(f"{name}="))
            listed = await api.every_page(f"/api/listings?{without}", who=who, limit=100)
            assert found == counted(name, listed), (query, name)
            if found:
                # The value is one that the filter takes.
                value, number = next(iter(found.items()))
                again = await api.every_page(f"/api/listings?{without}&{urlencode({name: value})}", who=who, limit=100)
                assert len(again) == number, (query, name, value)


def counted(name: str, listings: list[Any]) -> dict[str, int]:
    values = [listing["category"]["id"] if name == "category_id" else listing[name] for listing in listings]
    known = sorted(str(value) for value in values if value is not None)
    found: dict[str, int] = {}
    spellings: dict[str, list[str]] = {}
    for value in known:
        spellings.setdefault(value.lower(), []).append(value)
    for same in spellings.values():
        most = max(sorted(set(same)), key=same.count)
        found[most] = len(same)
    return found


async def test_the_values_with_the_most_listings_come_first(api: Api, rows: Rows) -> None:
    seller = await api.register()
    category = await rows.category()
    for make in ("Audi", "BMW", "BMW", "Fiat", "BMW", "Fiat"):
        await rows.listing(seller.id, category, make=make)
    answer = await facets(api)
    [makes] = [facet for facet in answer["facets"] if facet["name"] == "make"]
    assert [(one["value"], one["count"]) for one in makes["values"]] == [("BMW", 3), ("Fiat", 2), ("Audi", 1)]
    assert [facet["name"] for facet in answer["facets"]] == list(FACETS)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "fuel=diesel",
        "q=car",
        "price_min=1",
        "fuel=diesel&q=car&make=Fiat",
        "fuel=diesel&make=Fiat&colour=red&doors=5",
    ],
)
@pytest.mark.parametrize("enough", [1, 100])
async def test_past_the_bound_the_counts_are_the_least_there_are_and_say_so(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch, query: str, enough: int
) -> None:
    monkeypatch.setattr(listing_facets, "MOST_MATCHES", 12)
    monkeypatch.setattr(listing_facets, "MOST_NEWEST", 12)
    monkeypatch.setattr(listing_facets, "ENOUGH", enough)
    seller = await api.register()
    category = await rows.category()
    car: dict[str, Any] = {"fuel": "diesel", "make": "Fiat", "price": 5, "colour": "red", "doors": 5}
    for number in range(30):
        await rows.listing(seller.id, category, **car, hidden_at="now()" if number % 2 else "NULL")
    answer = await facets(api, query)
    assert (answer["total_at_least"], [facet["at_least"] for facet in answer["facets"]]) == (True, [True] * len(FACETS))
    assert 0 < answer["total"] < 15
    assert 0 < counts(answer)["fuel"]["diesel"] < 15


def _sleeping(ways: Any, most: int) -> Search:
    return Search(Statement("", "SELECT pg_sleep(60)"), ())


@pytest.mark.parametrize("query", ["", "price_max=7", "q=car&price_max=7", "fuel=diesel"])
async def test_counts_that_take_too_long_are_of_the_newest_listings_and_say_so(
    make_api: MakeApi, rows: Rows, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    api = await make_api(facets_seconds=0.05, database_timeout_seconds=30.0)
    monkeypatch.setattr(listing_facets._Ways, "by_any_index", _sleeping)
    monkeypatch.setattr(listing_facets, "MOST_MATCHES", 3)
    monkeypatch.setattr(listing_facets, "MOST_NEWEST", 3)
    seller = await api.register()
    category = await rows.category()
    for _ in range(6):
        await rows.listing(seller.id, category, fuel="diesel", price=5)
    answer = await facets(api, query)
    assert answer["total_at_least"] is True
    assert counts(answer)["category_id"] == {str(category): 4}


@SHARES_THE_API
@pytest.mark.parametrize(
    "query", ["fuel=coal", "make=", "year_min=5&year_max=4", "unknown=1", "sort=gone", "limit=0", "q=a&q=b"]
)
async def test_a_wrong_parameter_is_422_as_in_the_list(shared_api: Api, query: str) -> None:
    problem = await shared_api.call("GET", f"/api/listings/facets?{query}", 422)
    assert problem["errors"] == (await shared_api.call("GET", f"/api/listings?{query}", 422))["errors"]


async def test_every_facet_can_have_a_filter_at_once(api: Api, rows: Rows) -> None:
    seller = await api.register()
    category = await rows.category()
    car: dict[str, Any] = {
        "make": "Fiat", "model": "500", "fuel": "gasoline", "transmission": "manual", "body": "hatchback",
        "drive": "front", "colour": "red", "doors": 3, "condition": "good", "title_status": "clean",
    }  # fmt: skip
    await rows.listing(seller.id, category, **car)
    await rows.listing(seller.id, category, **{**car, "fuel": "electric"})
    answer = await facets(api, urlencode({**car, "category_id": category}))
    assert answer["total"] == 1
    expected: Counts = {name: {str(value): 1} for name, value in {**car, "category_id": category}.items()}
    assert counts(answer) == {**expected, "fuel": {"gasoline": 1, "electric": 1}}
    assert len(list(itertools.chain(*(facet["values"] for facet in answer["facets"])))) == 12
