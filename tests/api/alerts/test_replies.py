"""A seller is told of each reply to a listing, wherever the seller is."""

from __future__ import annotations

from typing import Any

from tests.api.alerts.telling import Told
from tests.api.alerts.test_saved_searches import offer
from tests.api.conftest import Person
from tests.api.rows import Rows


async def answered(told: Told, who: Person, listing_id: int, text: str = "Still there?") -> Any:
    return await told.api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=who, json={"text": text})


async def test_a_seller_hears_of_a_reply_and_finds_it_among_the_alerts(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    listing_id = await offer(told.api, rows, seller)
    reply = await answered(told, buyer, listing_id)
    await answered(told, seller, listing_id, "Yes")
    [(event, payload)] = await told.news(seller)
    assert event == payload["kind"] == "reply"
    assert payload["reply"] == {"id": reply["id"], "author": {"id": buyer.id, "name": "Bob"}, "text": "Still there?"}
    assert (payload["listing_id"], payload["listing"]["id"], payload["search"]) == (listing_id, listing_id, None)
    page = await told.api.call("GET", "/api/alerts", 200, who=seller)
    assert ([(one["id"], one["reply"]) for one in page["data"]], page["unseen"]) == ([(1, payload["reply"])], 1)
    assert await told.news(buyer) == []
    # What is deleted is told to nobody any more.
    await told.api.call("DELETE", f"/api/replies/{reply['id']}", 204, who=buyer)
    page = await told.api.call("GET", "/api/alerts", 200, who=seller)
    assert (page["data"], page["unseen"]) == ([], 0)


async def test_a_repeated_request_tells_the_seller_once(told: Told, rows: Rows, people: tuple[Person, Person]) -> None:
    buyer, seller = people
    listing_id = await offer(told.api, rows, seller)
    for _ in range(2):
        await told.api.call(
            "POST",
            f"/api/listings/{listing_id}/replies",
            201,
            who=buyer,
            json={"text": "Hello"},
            headers={"Idempotency-Key": "one"},
        )
    assert [event for event, _ in await told.news(seller)] == ["reply"]


async def test_nobody_is_told_of_a_reply_by_somebody_who_is_blocked(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    listing_id = await offer(told.api, rows, seller)
    await answered(told, buyer, listing_id)
    assert len(await told.news(seller)) == 1
    await told.api.call("PUT", f"/api/users/{buyer.id}/block", 200, who=seller)
    await told.api.call("POST", f"/api/listings/{listing_id}/replies", 403, who=buyer, json={"text": "Hello?"})
    assert await told.news(seller) == []
    assert (await told.api.call("GET", "/api/alerts", 200, who=seller))["data"] == []
