"""Replies to listings: who may read, write and remove them, until when, and what is broadcast."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api, Broadcasts
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


async def test_a_new_reply_is_returned_listed_and_broadcast(api: Api, rows: Rows, broadcasts: Broadcasts) -> None:
    seller, buyer = await api.register("Seller"), await api.register("Buyer")
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}/replies"
    reply = await api.call("POST", path, 201, who=buyer, json={"text": "Is it still there? <b>"})
    assert reply.items() >= {"listing_id": listing_id, "text": "Is it still there? <b>"}.items()
    assert reply["author"] == {"id": buyer.id, "name": "Buyer"}
    assert reply["created_at"].endswith("Z")
    assert await api.call("GET", path, 200) == {"data": [reply], "next_cursor": None}
    assert broadcasts.seen == [(f"listing:{listing_id}", "reply_created", reply)]


async def test_pages_of_replies_are_oldest_first_and_include_new_ones(api: Api, rows: Rows) -> None:
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/replies"
    ids = [(await api.call("POST", path, 201, who=seller, json={"text": str(n)}))["id"] for n in range(5)]
    seen: list[int] = []
    params = {"limit": "2"}
    while params.get("cursor", "") is not None:
        answer = await api.call("GET", path, 200, params=params)
        seen += [reply["id"] for reply in answer["data"]]
        if len(seen) == 2:
            ids.append((await api.call("POST", path, 201, who=seller, json={"text": "later"}))["id"])
        if answer["next_cursor"] is None:
            break
        params["cursor"] = answer["next_cursor"]
    assert seen == ids


@pytest.mark.parametrize("text", ["", " \n", "x" * 256, "nul \x00", "half \ud83d", None, 5])
async def test_a_reply_has_1_to_255_visible_characters(api: Api, rows: Rows, text: Any) -> None:
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/replies"
    problem = await api.call("POST", path, 422, who=seller, json={"text": text})
    assert set(problem["errors"]) == {"text"}
    assert (await api.call("GET", path, 200))["data"] == []
    await api.call("POST", path, 201, who=seller, json={"text": "🚗" * 255})


async def test_a_listing_older_than_a_year_takes_no_replies(api: Api, rows: Rows, broadcasts: Broadcasts) -> None:
    seller = await api.register()
    old = await rows.listing(seller.id, created_at="now() - interval '1 year 1 minute'")
    young = await rows.listing(seller.id, created_at="now() - interval '1 year' + interval '1 minute'")
    # The listing's age is checked before the body.
    problem = await api.call("POST", f"/api/listings/{old}/replies", 403, who=seller, data=b"{")
    assert problem["type"] == "/problems/listing-too-old"
    assert broadcasts.seen == []
    await api.call("POST", f"/api/listings/{young}/replies", 201, who=seller, json={"text": "Still time."})


async def test_only_its_author_or_an_admin_can_remove_a_reply(api: Api, rows: Rows) -> None:
    seller, buyer = await api.register(), await api.register()
    moderator, admin = await api.register(role=Role.MODERATOR), await api.register(role=Role.ADMIN)
    path = f"/api/listings/{await rows.listing(seller.id)}/replies"
    first, second = [(await api.call("POST", path, 201, who=buyer, json={"text": "Hi"}))["id"] for _ in range(2)]
    for other in (seller, moderator):
        await api.call("DELETE", f"/api/replies/{first}", 403, who=other)
    await api.call("DELETE", f"/api/replies/{first}", 401)
    await api.call("DELETE", f"/api/replies/{first}", 204, who=buyer)
    await api.call("DELETE", f"/api/replies/{second}", 204, who=admin)
    await api.call("DELETE", f"/api/replies/{second}", 404, who=admin)
    assert (await api.call("GET", path, 200))["data"] == []
    [act] = (await api.call("GET", "/api/audit", 200, who=admin))["data"]
    assert (act["actor"]["id"], act["action"]) == (admin.id, "reply_delete")
    assert act["target"] == {"type": "reply", "id": second, "name": None}
    assert act["details"]["author_id"] == buyer.id


@pytest.mark.parametrize(
    "columns",
    [
        {"hidden_at": "now()"},
        {"hidden_at": "now()", "hidden_until": "now() + interval '1 hour'"},
        {"trashed_at": "now()"},
    ],
)
async def test_replies_of_an_invisible_listing_are_404_on_every_route(
    api: Api, rows: Rows, columns: dict[str, str]
) -> None:
    seller, buyer = await api.register(), await api.register()
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}/replies"
    reply = await api.call("POST", path, 201, who=buyer, json={"text": "Hi"})
    assignments = ", ".join(f"{name} = {value}" for name, value in columns.items())
    await rows.execute(f"UPDATE listings SET {assignments} WHERE id = %s", listing_id)
    await api.call("GET", path, 404)
    await api.call("GET", path, 404, who=buyer)
    await api.call("POST", path, 404, who=buyer, json={"text": "Hello?"})
    await api.call("DELETE", f"/api/replies/{reply['id']}", 404, who=buyer)
    await rows.execute("UPDATE listings SET hidden_at = NULL, hidden_until = NULL, trashed_at = NULL")
    await api.call("DELETE", f"/api/replies/{reply['id']}", 204, who=buyer)


async def test_replies_of_private_listings_are_for_registered_users(api: Api, rows: Rows) -> None:
    seller, buyer = await api.register(), await api.register()
    private = await rows.listing(seller.id, visibility="private")
    in_private = await rows.listing(seller.id, await rows.category("private"))
    for listing_id in (private, in_private):
        await api.call("GET", f"/api/listings/{listing_id}/replies", 404)
        await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=buyer, json={"text": "Hi"})
