"""The channel of a listing on real processes: viewers get each change, as long as they may see the listing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist
from tests.support.client import Person, Socket
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_FOUND = {"status": "error", "response": {"reason": "not found"}}


@dataclass
class Market:
    moderator: Person
    admin: Person
    seller: Person
    buyer: Person
    category_id: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(daveslist: Daveslist, deployment: Settings) -> AsyncIterator[Market]:
    rest = daveslist.rest
    moderator, admin = await rest.register("Mona"), await rest.register("Ada")
    seller, buyer = await rest.register("Seller"), await rest.register("Buyer")
    for person, role in ((moderator, "moderator"), (admin, "admin")):
        query(deployment.database_url, "UPDATE users SET role = %s WHERE id = %s", role, person.id)
    body = {"name": "Saloons", "visibility": "public"}
    category = await rest.call("POST", "/api/categories", 201, who=moderator, body=body)
    yield Market(moderator, admin, seller, buyer, category["id"])


async def listed(daveslist: Daveslist, market: Market, **fields: Any) -> int:
    """The id of a new listing of the seller."""
    body = {
        "title": "A Corolla",
        "content": "One owner.",
        "category_id": market.category_id,
        "visibility": "public",
        **fields,
    }
    listing = await daveslist.rest.call("POST", "/api/listings", 201, who=market.seller, body=body)
    return int(listing["id"])


async def viewing(daveslist: Daveslist, person: Person, listing_id: int, node: int = 0) -> Socket:
    """A socket that has joined the listing's topic."""
    socket = await Socket.connect(daveslist.gateways[node].socket_url, person.token)
    assert await socket.join(f"listing:{listing_id}") == {"status": "ok", "response": {}}
    await socket.event("presence_state")
    return socket


async def test_replies_and_changes_arrive_on_every_node(daveslist: Daveslist, market: Market) -> None:
    listing_id = await listed(daveslist, market)
    buyer, seller = (
        await viewing(daveslist, market.buyer, listing_id, 0),
        await viewing(daveslist, market.seller, listing_id, 1),
    )
    async with buyer, seller:
        path = f"/api/listings/{listing_id}"
        reply = await daveslist.rest.call("POST", f"{path}/replies", 201, who=market.buyer, body={"text": "Rust?"})
        for socket in (buyer, seller):
            assert await socket.event("reply_created") == reply
        await daveslist.rest.call("PATCH", path, 200, who=market.seller, body={"price": 900})
        for socket in (buyer, seller):
            assert (await socket.event("listing_updated"))["price"] == 900


async def test_the_viewers_of_a_listing_see_each_other(daveslist: Daveslist, market: Market) -> None:
    listing_id = await listed(daveslist, market)
    async with await viewing(daveslist, market.seller, listing_id, 0) as seller:
        async with await viewing(daveslist, market.buyer, listing_id, 1):
            buyer_id = str(market.buyer.id)
            joined = await seller.take(lambda frame: frame[3] == "presence_diff" and buyer_id in frame[4]["joins"])
            assert joined[4]["joins"][buyer_id]["metas"][0]["name"] == market.buyer.name
        left = await seller.take(lambda frame: frame[3] == "presence_diff" and frame[4]["leaves"])
        assert list(left[4]["leaves"]) == [str(market.buyer.id)]


async def test_a_hidden_listing_is_taken_only_from_viewers_who_may_not_see_it(
    daveslist: Daveslist, market: Market
) -> None:
    listing_id = await listed(daveslist, market)
    topic = f"listing:{listing_id}"
    buyer = await viewing(daveslist, market.buyer, listing_id, 1)
    seller = await viewing(daveslist, market.seller, listing_id, 0)
    moderator = await viewing(daveslist, market.moderator, listing_id, 1)
    async with buyer, seller, moderator:
        path = f"/api/listings/{listing_id}"
        await daveslist.rest.call("PUT", f"{path}/hidden", 200, who=market.moderator, body={"reason": "checking"})
        assert await buyer.event("listing_removed") == {"id": listing_id}
        assert (await buyer.take(lambda frame: frame[3] == "phx_close"))[:3] == ["j1", "j1", topic]
        await daveslist.rest.call("POST", f"{path}/replies", 201, who=market.seller, body={"text": "Why?"})
        for socket in (seller, moderator):
            await socket.event("reply_created")
            assert not [frame for frame in socket.frames if frame[3] in ("listing_removed", "phx_close")]
        assert not [frame for frame in buyer.frames if frame[3] in ("reply_created", "listing_updated")]
        assert await buyer.join(topic, join_ref="j2") == NOT_FOUND
        await daveslist.rest.call("DELETE", f"{path}/hidden", 204, who=market.moderator)
        assert (await buyer.join(topic, join_ref="j3"))["status"] == "ok"


@pytest.mark.parametrize("act", ["trash", "ban", "category deleted", "end"])
async def test_viewers_lose_a_listing_that_is_no_longer_public(
    daveslist: Daveslist, deployment: Settings, market: Market, act: str
) -> None:
    rest = daveslist.rest
    body = {"name": f"Category for {act}", "visibility": "public"}
    category = await rest.call("POST", "/api/categories", 201, who=market.moderator, body=body)
    seller = await rest.register("Seller")
    listing = await rest.call(
        "POST",
        "/api/listings",
        201,
        who=seller,
        body={"title": "t", "content": "c", "category_id": category["id"], "visibility": "public"},
    )
    async with await viewing(daveslist, market.buyer, listing["id"], 1) as buyer:
        match act:
            case "trash":
                await rest.call("DELETE", f"/api/listings/{listing['id']}", 204, who=seller)
            case "ban":
                await rest.call("PUT", f"/api/users/{seller.id}/ban", 200, who=market.admin, body={"reason": "fraud"})
            case "category deleted":
                await rest.call("DELETE", f"/api/categories/{category['id']}", 204, who=market.moderator)
            case "end":
                query(deployment.database_url, "UPDATE listings SET expires_at = now() WHERE id = %s", listing["id"])
        await buyer.event("listing_removed")
        await buyer.take(lambda frame: frame[3] == "phx_close")


async def test_registered_viewers_keep_a_listing_whose_category_becomes_private(
    daveslist: Daveslist, market: Market
) -> None:
    rest = daveslist.rest
    body = {"name": "Soon private", "visibility": "public"}
    category = await rest.call("POST", "/api/categories", 201, who=market.moderator, body=body)
    listing_id = await listed(daveslist, market, category_id=category["id"])
    async with await viewing(daveslist, market.buyer, listing_id, 1) as buyer:
        path = f"/api/categories/{category['id']}"
        await rest.call("PATCH", path, 200, who=market.moderator, body={"visibility": "private"})
        path = f"/api/listings/{listing_id}/replies"
        await rest.call("POST", path, 201, who=market.seller, body={"text": "still here"})
        await buyer.event("reply_created")


async def test_a_moderator_who_becomes_a_user_loses_hidden_listings(daveslist: Daveslist, market: Market) -> None:
    rest = daveslist.rest
    listing_id = await listed(daveslist, market)
    former = await rest.register("Former")
    await rest.call("PUT", f"/api/users/{former.id}/role", 200, who=market.admin, body={"role": "moderator"})
    await rest.call("PUT", f"/api/listings/{listing_id}/hidden", 200, who=market.moderator, body={"reason": "x"})
    async with await viewing(daveslist, former, listing_id, 1) as socket:
        await rest.call("PUT", f"/api/users/{former.id}/role", 200, who=market.admin, body={"role": "user"})
        await socket.event("listing_removed")
        await socket.take(lambda frame: frame[3] == "phx_close")
        assert (await socket.join(former.topic, join_ref="own"))["status"] == "ok"


@pytest.mark.parametrize("identifier", ["0", "x", "", "999999999", "1e3", "-1", str(2**63)])
async def test_the_topic_of_a_listing_that_does_not_exist_is_not_found(
    daveslist: Daveslist, market: Market, identifier: str
) -> None:
    async with await Socket.connect(daveslist.gateways[0].socket_url, market.buyer.token) as socket:
        assert await socket.join(f"listing:{identifier}") == NOT_FOUND
