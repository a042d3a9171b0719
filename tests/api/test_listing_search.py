"""Searching listings: by words, also misspelled ones, with filters, in every order, in pages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from shared.postgres import Database, Statement
from shared.repositories import listing_words
from shared.repositories.vocabulary import rebuild_vocabulary
from tests.api.conftest import SHARES_THE_API, Api, MakeApi
from tests.api.rows import Rows
from tests.api.ways import BOUNDS, take
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")


async def found(api: Api, query: str, **more: Any) -> list[int]:
    answer = await api.call("GET", f"/api/listings?{query}", 200, **more)
    return [one["id"] for one in answer["data"]]


async def every_page(api: Api, query: str, limit: int) -> list[int]:
    return [one["id"] for one in await api.every_page(f"/api/listings?{query}", limit=limit)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cars(shared_api: Api) -> dict[str, int]:
    database = await Database.connect(shared_api.settings)
    rows = Rows(database)
    seller = await shared_api.register()
    category_id = await rows.category()
    cars = {
        "camry": {"title": "2015 Toyota Camry", "make": "Toyota", "model": "Camry", "content": "Leather, sunroof."},
        "corolla": {"title": "Cheap runner", "make": "Toyota", "model": "Corolla"},
        "truck": {"title": "Ford F-150 Crème", "make": "Ford", "model": "F-150", "content": "Won't start."},
        "miata": {"title": "Fun", "make": "Mazda", "model": "MX-5 Miata", "content": "A red convertible."},
        "megane": {"title": "Renault Mégane", "make": "Renault", "model": "Mégane"},
        "mazda": {"title": "Hatchback", "make": "Mazda", "model": "Mazda3"},
    }
    await others_sold(shared_api, rows, category_id, *cars.values())
    ids = {name: await rows.listing(seller.id, category_id, **car) for name, car in cars.items()}
    await database.close()
    return ids


async def others_sold(api: Api, rows: Rows, category_id: int, *cars: dict[str, Any]) -> None:
    """Insert such cars of two other sellers as sold, so that searches leave them out, and collect the words."""
    for _ in range(2):
        seller = await api.register()
        for car in cars:
            await rows.listing(seller.id, category_id, **car, status="sold")
    await collect(rows)


@SHARES_THE_API
@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("toyota camry", "camry"),
        ("toyta camry", "camry"),
        ("TOYOTA Carmy", "camry"),
        ("camrey toyoat", "camry"),
        ("toyo cam", "camry"),
        ("toyota", "corolla camry"),
        ("toyota sunr", "camry"),
        ("a camry with a sunroof", "camry"),
        ("f-150", "truck"),
        ("f150", "truck"),
        ("ford f 150", "truck"),
        ("creme ford", "truck"),
        ("won't", "truck"),
        ("mx5", "miata"),
        ("mx-5 convertible", "miata"),
        ("mazda 3", "mazda"),
        ("mazda3", "mazda"),
        ("megane", "megane"),
        ("MÉGANE", "megane"),
        ("2015", "camry"),
        ("toyota mustang", ""),
        ("xyzzy", ""),
        ("!!!", ""),
        ("' | & ! ( :* \\", ""),
    ],
)
async def test_words_are_found_by_prefix_misspelled_and_in_any_case(
    shared_api: Api, cars: dict[str, int], q: str, expected: str
) -> None:
    ids = [cars[name] for name in expected.split()]
    assert await found(shared_api, "", params={"q": q}) == ids


@SHARES_THE_API
@pytest.mark.parametrize("q", ["", " ", "x" * 201, "\x00"])
async def test_a_wrong_q_is_422(shared_api: Api, q: str) -> None:
    await shared_api.call("GET", "/api/listings", 422, params={"q": q})


async def test_a_misspelled_title_does_not_hide_the_correct_ones(api: Api, rows: Rows) -> None:
    sellers = [await api.register() for _ in range(6)]
    seller, category_id = sellers[0], await rows.category()
    right = [await rows.listing(one.id, category_id, title="Toyota Camry") for one in sellers]
    await others_sold(api, rows, category_id, {"title": "Toyta"})
    wrong = await rows.listing(seller.id, category_id, title="Toyta Camry")
    assert await found(api, "q=toyta") == [wrong, *reversed(right)]
    assert await found(api, "q=toyota") == [*reversed(right)]


async def test_a_changed_title_is_found_by_its_new_words_only(api: Api, rows: Rows) -> None:
    seller = await api.register()
    category_id = await rows.category()
    await others_sold(api, rows, category_id, {"title": "Hatchback"})
    listing_id = await rows.listing(seller.id, category_id, title="Blue wagon")
    await api.call("PATCH", f"/api/listings/{listing_id}", 200, who=seller, json={"title": "Green hatchback"})
    assert await found(api, "q=hatchbak") == [listing_id]
    assert await found(api, "q=wagon") == []


KEPT_FROM_VISITORS = {
    "hidden": "UPDATE listings SET hidden_at = now() WHERE id = ANY (%s)",
    "private": "UPDATE listings SET visibility = 'private' WHERE id = ANY (%s)",
    "in the trash": "UPDATE listings SET trashed_at = now() WHERE id = ANY (%s)",
    "deleted": "DELETE FROM listings WHERE id = ANY (%s)",
    "of a banned seller": """UPDATE users SET banned_at = now()
        WHERE id IN (SELECT seller_id FROM listings WHERE id = ANY (%s))""",
    "in a private category": """UPDATE categories SET visibility = 'private'
        WHERE id IN (SELECT category_id FROM listings WHERE id = ANY (%s))""",
}


@pytest.mark.parametrize("change", KEPT_FROM_VISITORS.values(), ids=KEPT_FROM_VISITORS.keys())
async def test_no_search_tells_a_word_that_is_kept_from_visitors(api: Api, rows: Rows, change: str) -> None:
    sellers = [await api.register() for _ in range(5)]
    decoy = await api.register("Decoy")
    secret_category = await rows.category()
    secrets = [await rows.listing(one.id, secret_category, title="Zauberwort", make="Zauberwort") for one in sellers]
    prefixes = ["zau", "zaub", "zauberw", "zauberwort", "zauberworx", "zauberwrot", "x zaub", "zaub x"]
    decoys = [f"{word}0x" for word in ("zau", "zaub", "zauberw", "zauberwort")]
    decoy_id = await rows.listing(decoy.id, title="A car", content=" ".join([*decoys, "x"]))
    answers = []
    for turn in ("before", "after"):
        if turn == "after":
            await rows.execute("UPDATE listings SET title = 'Another', make = NULL WHERE id = ANY (%s)", secrets)
        elif change.startswith("DELETE"):
            await collect(rows)
            await rows.execute(change, secrets)
        else:
            await rows.execute(change, secrets)
        await collect(rows)
        answers.append([await found(api, "", params={"q": q}) for q in prefixes])
    assert answers[0] == answers[1]
    assert answers[0][:3] == [[decoy_id]] * 3


async def collect(rows: Rows) -> None:
    async with rows.database.transaction() as transaction:
        await rebuild_vocabulary(transaction)


async def test_words_of_one_account_spoil_no_beginning(api: Api, rows: Rows) -> None:
    category_id = await rows.category()
    ids = []
    for _ in range(2):
        seller = await api.register()
        ids.append(await rows.listing(seller.id, category_id, title="Korando wagon"))
    attackers = [await api.register(), await api.register()]
    for first in range(0, 80, 20):
        title = " ".join(f"kor{number:02}a" for number in range(first, first + 20))
        for attacker in attackers:
            await rows.listing(attacker.id, category_id, title=title, status="sold")
    await collect(rows)
    assert await found(api, "q=kor") == [*reversed(ids)]
    third = await api.register()
    ids.append(await rows.listing(third.id, category_id, title="Korando wagon"))
    await collect(rows)
    assert await found(api, "", params={"q": "kor wagon"}) == [*reversed(ids)]


async def test_a_search_whose_corrections_take_too_long_goes_on_without_them(
    make_api: MakeApi, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Statement(
        "slow", "SELECT asked.word, asked.word, 1 FROM unnest($1) AS asked (word), pg_sleep(60)", ("text[]",)
    )
    monkeypatch.setattr(listing_words, "_NEAR_WORDS", slow)
    api = await make_api(correction_seconds=0.05, database_timeout_seconds=30.0)
    seller = await api.register()
    listing_id = await rows.listing(seller.id, title="Gazelle")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await found(api, "q=gazelle") == [listing_id]


async def test_filters_combine_and_unknown_values_are_in_no_range(api: Api, rows: Rows) -> None:
    seller, other = await api.register(), await api.register()
    one, two = await rows.category(), await rows.category()
    golf = {"title": "Golf", "make": "Volkswagen", "model": "Golf"}
    old = await rows.listing(seller.id, one, **golf, year=1999, price=500, mileage=200_000)
    new = await rows.listing(seller.id, two, **golf, year=2019, price=15_000, mileage=20_000)
    bare = await rows.listing(other.id, one, **golf)
    sold = await rows.listing(other.id, two, **golf, year=2019, price=9_000, mileage=1, status="sold")
    expectations = {
        "q=golf": [bare, new, old],
        f"category_id={one}": [bare, old],
        f"seller_id={other.id}": [bare],
        "make=VOLKSWAGEN&model=golf": [bare, new, old],
        "make=volks": [],
        "year_min=2000": [new],
        "year_max=2000": [old],
        "price_min=500&price_max=500": [old],
        "price_min=0": [new, old],
        "price_max=9007199254740991": [new, old],
        "mileage_max=20000": [new],
        "mileage_max=2147483646": [new, old],
        "status=sold": [sold],
        "status=any&price_max=9000": [sold, old],
        f"q=golf&category_id={one}&year_max=2005&sort=-price": [old],
        f"q=golf&category_id={two}&price_max=10000&status=any&make=volkswagen": [sold],
        "category_id=999": [],
        "seller_id=999&sort=price": [],
    }
    for query, expected in expectations.items():
        assert await found(api, query) == expected, query
        assert await every_page(api, query, 1) == expected, query


@SHARES_THE_API
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "category_id=0", "category_id=x", "seller_id=-1", "year_min=x", "year_max=1.5",
     "price_min=-1", "price_max=99999999999999999999", "mileage_max=a", "sort=-mileage", "sort=", "status=gone",
     "hidden=1", "cursor=x", "cursor=W10", "make=", "model=%00", "unknown=1", "q=a&q=b"],
)  # fmt: skip
async def test_wrong_parameters_are_422(shared_api: Api, query: str) -> None:
    problem = await shared_api.call("GET", f"/api/listings?{query}", 422)
    assert set(problem["errors"]) == {query.split("=", 1)[0]}


ORDERS = {
    "newest": lambda car: (-car["id"],),
    "price": lambda car: (car["price"] is None, car["price"] or 0, car["id"]),
    "-price": lambda car: (car["price"] is None, -(car["price"] or 0), -car["id"]),
    "mileage": lambda car: (car["mileage"] is None, car["mileage"] or 0, car["id"]),
    "-year": lambda car: (car["year"] is None, -(car["year"] or 0), -car["id"]),
}


@pytest.mark.parametrize("ways", BOUNDS)
async def test_every_order_gives_the_same_pages_by_every_plan(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch, ways: str
) -> None:
    take(ways, monkeypatch)
    seller = await api.register()
    one, two = await rows.category(), await rows.category()
    cars: list[dict[str, Any]] = []
    for n in range(40):
        car: dict[str, Any] = {
            "title": "Golf" if n % 3 else "Polo",
            "price": None if n % 5 == 0 else n % 4 * 100,
            "mileage": None if n % 7 == 0 else n % 6 * 1000,
            "year": None if n % 6 == 0 else 2000 + n % 5,
        }
        category_id = one if n % 2 else two
        cars.append({**car, "id": await rows.listing(seller.id, category_id, **car), "category": category_id})
    selections = {
        "": cars,
        "q=golf": [car for car in cars if car["title"] == "Golf"],
        f"category_id={one}": [car for car in cars if car["category"] == one],
        f"q=golf&category_id={one}&price_max=200": [
            car for car in cars
            if car["title"] == "Golf" and car["category"] == one and car["price"] is not None and car["price"] <= 200
        ],
    }  # fmt: skip
    for sort, key in ORDERS.items():
        for query, selected in selections.items():
            expected = [car["id"] for car in sorted(selected, key=key)]
            assert await every_page(api, f"{query}&sort={sort}".strip("&"), 7) == expected, (sort, query)


async def test_pages_neither_repeat_nor_skip_listings_that_stay(api: Api, rows: Rows) -> None:
    seller = await api.register()
    category_id = await rows.category()
    ids = [await rows.listing(seller.id, category_id, price=n) for n in range(6)]
    for query, expected in (("", [*reversed(ids)]), ("sort=price", ids)):
        first = await api.call("GET", f"/api/listings?limit=3&{query}", 200)
        await rows.listing(seller.id, category_id, price=0)
        await rows.execute("UPDATE listings SET trashed_at = now() WHERE id = %s", first["data"][2]["id"])
        rest = await api.call("GET", f"/api/listings?limit=10&{query}", 200, params={"cursor": first["next_cursor"]})
        seen = [one["id"] for one in first["data"] + rest["data"]]
        assert [one for one in seen if one in ids] == expected
        await rows.execute("UPDATE listings SET trashed_at = NULL")
        await rows.execute("DELETE FROM listings WHERE id <> ALL (%s)", ids)


async def test_a_cursor_of_another_order_is_422(api: Api, rows: Rows) -> None:
    seller = await api.register()
    for price in range(3):
        await rows.listing(seller.id, price=price)
    cursor = (await api.call("GET", "/api/listings?limit=1&sort=price", 200))["next_cursor"]
    await api.call("GET", "/api/listings?limit=1", 422, params={"cursor": cursor})
