"""A search that finds nothing as it was typed is corrected, and says so; it can be asked to search as it was typed."""

from __future__ import annotations

from typing import Any

import pytest

from shared.repositories.vocabulary import rebuild_vocabulary
from tests.api.conftest import Api
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


async def search(api: Api, **params: str) -> dict[str, Any]:
    answer = await api.call("GET", "/api/listings", 200, params=params)
    return {"ids": [one["id"] for one in answer["data"]], "corrected": answer.get("corrected")}


async def sold_by(api: Api, rows: Rows, sellers: int, **car: Any) -> list[int]:
    """Insert such a listing of each of that many sellers, and collect the words. Returns the ids, the newest first."""
    category_id = await rows.category()
    ids = [await rows.listing((await api.register()).id, category_id, **car) for _ in range(sellers)]
    async with rows.database.transaction() as transaction:
        await rebuild_vocabulary(transaction)
    return ids[::-1]


@pytest.mark.parametrize("sort", ["relevance", "newest", "price", "-year"])
async def test_a_correction_is_told_in_every_order_and_on_every_page(api: Api, rows: Rows, sort: str) -> None:
    ids = await sold_by(api, rows, 3, title="Toyota Camry")
    answer = await search(api, q="TOYTA camry!", sort=sort)
    assert set(answer["ids"]) == set(ids)
    assert answer["corrected"] == {"from": "TOYTA camry!", "to": "toyota camry!"}
    seen: list[int] = []
    params = {"q": "toyta", "sort": sort, "limit": "1"}
    for _ in ids:
        page = await api.call("GET", "/api/listings", 200, params=params)
        assert page["corrected"] == {"from": "toyta", "to": "toyota"}
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"]:
            params["cursor"] = page["next_cursor"]
    assert page["next_cursor"] is None
    assert seen == answer["ids"]


async def test_an_answer_without_a_correction_says_nothing_of_one(api: Api, rows: Rows) -> None:
    ids = await sold_by(api, rows, 3, title="Toyota Camry")
    for q in ("toyota", "toyo", "camrys", "TOYOTA  camry"):
        assert await search(api, q=q) == {"ids": ids, "corrected": None}
    assert await search(api, q="xyzzy") == {"ids": [], "corrected": None}


@pytest.mark.parametrize("sort", ["relevance", "price"])
async def test_a_search_for_the_words_as_they_are_typed_is_not_corrected(api: Api, rows: Rows, sort: str) -> None:
    await sold_by(api, rows, 3, title="Toyota Camry")
    assert await search(api, q="toyta", verbatim="true", sort=sort) == {"ids": [], "corrected": None}
    assert (await search(api, q="toyta", verbatim="false", sort=sort))["corrected"]


async def test_a_word_that_exists_comes_before_its_correction_which_is_told(api: Api, rows: Rows) -> None:
    right = await sold_by(api, rows, 6, title="Toyota Camry", price=1)
    [wrong] = await sold_by(api, rows, 1, title="Toyta Camry", price=2)
    assert await search(api, q="toyta") == {"ids": [wrong, *right], "corrected": {"from": "toyta", "to": "toyota"}}
    assert await search(api, q="toyta", limit="1") == {"ids": [wrong], "corrected": None}
    assert await search(api, q="toyta", verbatim="true") == {"ids": [wrong], "corrected": None}
    # In another order a correction could come before the word itself, so there is none.
    assert await search(api, q="toyta", sort="price") == {"ids": [wrong], "corrected": None}
    assert await search(api, q="toyota") == {"ids": right, "corrected": None}


async def test_a_name_of_a_make_or_model_is_never_corrected(api: Api, rows: Rows) -> None:
    await sold_by(api, rows, 6, title="In mint condition")
    await sold_by(api, rows, 6, title="Gold wagon")
    [mini] = await sold_by(api, rows, 1, title="Mini Cooper")
    assert await search(api, q="mini") == {"ids": [mini], "corrected": None}
    assert await search(api, q="golf") == {"ids": [], "corrected": None}


async def test_what_is_kept_from_visitors_neither_prevents_a_correction_nor_is_one(api: Api, rows: Rows) -> None:
    ids = await sold_by(api, rows, 3, title="Toyota Camry")
    await sold_by(api, rows, 3, title="Toyta Camri", visibility="private")
    assert await search(api, q="toyta") == {"ids": ids, "corrected": {"from": "toyta", "to": "toyota"}}
    assert await search(api, q="camryi") == {"ids": ids, "corrected": {"from": "camryi", "to": "camry"}}


@pytest.mark.parametrize("query", ["verbatim=1", "verbatim=", "verbatim=True", "q=a&sort=best", "sort=relevance"])
async def test_wrong_parameters_are_422(api: Api, query: str) -> None:
    problem = await api.call("GET", f"/api/listings?{query}", 422)
    assert set(problem["errors"]) == {query.rpartition("&")[2].split("=")[0]}


async def test_a_cursor_of_another_order_is_422(api: Api, rows: Rows) -> None:
    await sold_by(api, rows, 3, title="Toyota Camry")
    cursor = (await api.call("GET", "/api/listings?q=toyota&limit=1", 200))["next_cursor"]
    await api.call("GET", "/api/listings?q=toyota&limit=1&sort=newest", 422, params={"cursor": cursor})
