"""Makes, models and places are suggested while somebody types, and only those that every visitor can see."""

from __future__ import annotations

import pytest

from shared.repositories.suggestions import collect_suggestions
from tests.api.conftest import SHARES_THE_API, Api
from tests.api.rows import Rows
from tests.api.test_listing_search import KEPT_FROM_VISITORS

pytestmark = pytest.mark.usefixtures("at_rest")


async def suggested(api: Api, q: str, **more: str) -> list[tuple[str, str]]:
    answer = await api.call("GET", "/api/suggestions", 200, params={"q": q, **more})
    assert answer["next_cursor"] is None
    return [(one["kind"], one["text"]) for one in answer["data"]]


async def collect(rows: Rows) -> None:
    async with rows.database.transaction() as transaction:
        await collect_suggestions(transaction)


async def offered(api: Api, rows: Rows, sellers: int, **car: object) -> list[int]:
    category_id = await rows.category()
    return [await rows.listing((await api.register()).id, category_id, **car) for _ in range(sellers)]


async def test_what_most_sellers_have_comes_first(api: Api, rows: Rows) -> None:
    await offered(api, rows, 2, make="Wolga", model="Molotow", location="Molfetta")
    await offered(api, rows, 3, make="Wolga", model="Moloko", location="Berlin")
    await collect(rows)
    assert await suggested(api, "mol", limit="3") == [
        ("model", "Wolga Moloko"), ("model", "Wolga Molotow"), ("place", "Molfetta")
    ]  # fmt: skip
    assert await suggested(api, "wolgam", limit="2") == [("model", "Wolga Moloko"), ("model", "Wolga Molotow")]
    assert (await suggested(api, "BERL"))[0] == ("place", "Berlin")
    assert await suggested(api, "mol", limit="1") == [("model", "Wolga Moloko")]


@SHARES_THE_API
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("toyo", ("make", "Toyota")),
        ("VW", ("make", "Volkswagen")),
        ("vw go", ("model", "Volkswagen Golf")),
        ("land cru", ("model", "Toyota Land Cruiser")),
        ("landcru", ("model", "Toyota Land Cruiser")),
        ("f-15", ("model", "Ford F-150")),
        ("f 15", ("model", "Ford F-150")),
        ("коро", ("model", "Toyota Corolla")),
        ("カロ", ("model", "Toyota Corolla")),
        ("citroe", ("make", "Citroën")),
    ],
)
async def test_known_makes_and_models_are_suggested_although_nobody_sells_one(
    shared_api: Api, typed: str, expected: tuple[str, str]
) -> None:
    assert expected in await suggested(shared_api, typed)


async def test_a_known_name_is_suggested_once_and_as_it_is_written(api: Api, rows: Rows) -> None:
    await offered(api, rows, 1, make="VW", model="golf")
    await offered(api, rows, 1, make="volkswagen", model="GOLF")
    await collect(rows)
    found = await suggested(api, "golf")
    assert found == [("model", "Volkswagen Golf")]
    assert (await suggested(api, "volks"))[:2] == [("make", "Volkswagen"), ("model", "Volkswagen Golf")]


async def test_a_name_that_one_seller_has_made_up_is_not_suggested(api: Api, rows: Rows) -> None:
    [seller] = [await api.register()]
    for spelling in ("Zauberwort", "ZAUBERWORT", "Zauberwort "):
        await rows.listing(seller.id, make=spelling, model=spelling, location=spelling)
    await collect(rows)
    assert await suggested(api, "zau") == []
    await offered(api, rows, 2, location="Zaubertal")
    await collect(rows)
    assert await suggested(api, "zau") == [("place", "Zaubertal")]


@pytest.mark.parametrize("change", KEPT_FROM_VISITORS.values(), ids=KEPT_FROM_VISITORS.keys())
async def test_nothing_is_suggested_that_is_kept_from_visitors(api: Api, rows: Rows, change: str) -> None:
    secrets = await offered(api, rows, 3, make="Zauberwort", model="Zauberauto", location="Zaubertal")
    await collect(rows)
    assert len(await suggested(api, "zau")) == 3
    await rows.execute(change, secrets)
    await collect(rows)
    for who in (None, await api.register()):
        answer = await api.call("GET", "/api/suggestions?q=zau", 200, who=who)
        assert answer["data"] == []


@SHARES_THE_API
@pytest.mark.parametrize(
    "query",
    ["", "q=", "q=%20", "q=%00", "q=" + "x" * 201, "q=a&limit=0", "q=a&limit=101", "q=a&limit=x", "q=a&cursor=x",
     "q=a&q=b"],
)  # fmt: skip
async def test_wrong_parameters_are_422(shared_api: Api, query: str) -> None:
    problem = await shared_api.call("GET", f"/api/suggestions?{query}", 422)
    name = query.rpartition("&")[2].split("=")[0] or "q"
    assert set(problem["errors"]) == {name}


@SHARES_THE_API
@pytest.mark.parametrize("q", ["!!!", "'; --", "%", "_", "\\", "x" * 200, "🚗"])
async def test_whatever_is_typed_is_answered(shared_api: Api, q: str) -> None:
    assert await suggested(shared_api, q) == []
