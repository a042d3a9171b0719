"""The channel of a listing, without sockets and without Postgres: who stays, who goes, and what finding out costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.channels.listing import Listing
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.access.admission import BadToken
from shared.domain.users import Role
from shared.events import control
from shared.events.envelope import Envelope, json_payload, pack
from shared.events.listings import LISTING_REMOVED, LISTING_UPDATED, LOOK_AGAIN
from shared.events.replies import REPLY_CREATED
from shared.postgres import DatabaseUnavailable
from shared.repositories.listing_access import Audience, SeenListing
from shared.repositories.shared_reads import SharedReads
from tests.gateway.nodes import SOON, Client, actor, broadcast, closed, crashed, push, reply, start_node
from tests.protocol.client_frames import Received

SELLER, BUYER, MODERATOR = 1, 2, 3
CATEGORY = 40
EVERYONE = frozenset((role, owns) for role in Role for owns in (False, True))
MODERATORS = frozenset(kind for kind in EVERYONE if kind[0] is not Role.USER)
OWNERS = MODERATORS | {(Role.USER, True)}


class Market:
    """What Postgres would say. It counts what it is asked, answers while `is_open`, and is away where it is told."""

    def __init__(self) -> None:
        self.kinds: dict[int, frozenset[tuple[Role, bool]]] = {}
        self.asked: list[list[int]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.is_away = False
        self.tokens = asyncio.Event()
        self.context = SimpleNamespace(
            audiences=SharedReads(self.audiences, most=500),
            admission=SimpleNamespace(admit=self.admit),
            join_budget=None,
        )

    async def audiences(self, listing_ids: Sequence[int]) -> dict[int, Audience]:
        self.asked.append(list(listing_ids))
        await self.is_open.wait()
        if self.is_away:
            raise DatabaseUnavailable("away")
        return {
            listing_id: Audience(SeenListing(listing_id, SELLER, CATEGORY, datetime.now(UTC), True), kinds)
            for listing_id in listing_ids
            if (kinds := self.kinds.get(listing_id)) is not None
        }

    async def admit(self, token: str) -> Actor:
        await self.tokens.wait()
        raise BadToken("bad")


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
async def node(market: Market) -> AsyncIterator[Endpoint]:
    endpoint = await start_node({"listing:*": Listing}, context=market.context)
    yield endpoint
    await endpoint.stop()


async def looking(node: Endpoint, market: Market, user_id: int = BUYER, listing_id: int = 7) -> Client:
    """A client that has joined a listing, which everyone may see if nothing else was said."""
    market.kinds.setdefault(listing_id, EVERYONE)
    client = Client(node, actor(user_id, role=Role.MODERATOR if user_id == MODERATOR else Role.USER))
    client.says("j1", "join", f"listing:{listing_id}", "phx_join")
    [answer, *_] = await client.until("presence_state")
    assert answer.payload["status"] == "ok"
    client.take()
    market.asked.clear()
    return client


def told(client: Client) -> list[Received]:
    """What it was sent, but for who comes and goes."""
    return [frame for frame in client.take() if frame.event != "presence_diff"]


def removed(listing_id: int = 7) -> list[Received]:
    topic = f"listing:{listing_id}"
    return [push(LISTING_REMOVED, {"id": listing_id}, topic=topic), closed(topic=topic)]


async def looked(clients: Sequence[Client]) -> None:
    """Until no channel of theirs has anything under way."""
    async with asyncio.timeout(SOON):
        for client in clients:
            for joined in list(client.session.topics.values()):
                while joined.server is not None and (joined.server.is_busy or joined.server.held is not None):  # noqa: ASYNC110 (it tells nobody)
                    await asyncio.sleep(0)


def change(node: Endpoint, listing_id: int = 7) -> None:
    """As the API publishes a change."""
    node.broadcast(f"listing:{listing_id}", LOOK_AGAIN, {"id": listing_id})
    node.broadcast(f"listing:{listing_id}", LISTING_UPDATED, {"id": listing_id, "price": 900})


# Joining


async def test_who_may_see_it_joins_and_is_shown_who_is_there(node: Endpoint, market: Market) -> None:
    buyer = await looking(node, market)
    assert [frame.event for frame in buyer.take()] in ([], ["presence_diff"])
    seller = await looking(node, market, SELLER)
    [diff] = [frame for frame in buyer.take() if "1" in frame.payload["joins"]]
    assert diff.event == "presence_diff"
    await looked([seller])


@pytest.mark.parametrize("topic", ["listing:8", "listing:x", "listing:0", "listing:"])
async def test_what_is_not_there_is_not_found(node: Endpoint, topic: str) -> None:
    client = Client(node)
    client.says("j1", "r1", topic, "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "not found"}, "error", topic=topic)]


async def test_what_one_may_not_see_is_not_found_either(node: Endpoint, market: Market) -> None:
    market.kinds[7] = MODERATORS
    client = Client(node, BUYER)
    client.says("j1", "r1", "listing:7", "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "not found"}, "error", topic="listing:7")]
    await looking(node, market, MODERATOR)


async def test_a_join_may_be_tried_again_when_the_database_is_back(node: Endpoint, market: Market) -> None:
    market.is_away = True
    client = Client(node, BUYER)
    client.says("j1", "r1", "listing:7", "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "try again"}, "error", topic="listing:7")]


# What a look costs


async def test_a_change_is_one_question_whatever_the_number_of_viewers(node: Endpoint, market: Market) -> None:
    viewers = [await looking(node, market, user_id) for user_id in range(10, 110)]
    change(node)
    await looked(viewers)
    assert market.asked == [[7]]


async def test_a_gap_is_a_question_for_each_five_hundred_listings(node: Endpoint, market: Market) -> None:
    viewers = [await looking(node, market, 10 + number, 1 + number % 600) for number in range(1200)]
    node.link_restored(1.0)
    await looked(viewers)
    assert sorted(map(len, market.asked)) == [100, 500]


async def test_those_who_join_together_are_one_question_too(node: Endpoint, market: Market) -> None:
    market.kinds[7] = EVERYONE
    clients = [Client(node, user_id) for user_id in range(10, 60)]
    for client in clients:
        client.says("j1", "join", "listing:7", "phx_join")
    for client in clients:
        await client.until("presence_state")
    # The first one's question has begun when the others come.
    assert len(market.asked) <= 2


# What it leads to


async def test_whoever_may_no_longer_see_it_is_told_and_gone_and_the_others_go_on(
    node: Endpoint, market: Market
) -> None:
    buyer, seller, moderator = [await looking(node, market, user_id) for user_id in (BUYER, SELLER, MODERATOR)]
    market.kinds[7] = OWNERS
    change(node)
    await looked([buyer, seller, moderator])
    assert told(buyer) == removed()
    updated = broadcast(LISTING_UPDATED, {"id": 7, "price": 900}, topic="listing:7")
    assert told(seller) == told(moderator) == [updated]


@pytest.mark.parametrize("event", [LISTING_UPDATED, REPLY_CREATED])
async def test_nothing_that_follows_a_change_is_seen_before_the_look(
    node: Endpoint, market: Market, event: str
) -> None:
    buyer, seller = await looking(node, market), await looking(node, market, SELLER)
    node.broadcast("listing:7", event, {"n": 0})
    market.is_open.clear()
    market.kinds[7] = OWNERS
    node.broadcast("listing:7", LOOK_AGAIN, {"id": 7})
    for number in (1, 2):
        node.broadcast("listing:7", event, {"n": number})
    before = broadcast(event, {"n": 0}, topic="listing:7")
    assert told(buyer) == told(seller) == [before]
    market.is_open.set()
    await looked([buyer, seller])
    assert told(buyer) == removed()
    assert told(seller) == [broadcast(event, {"n": number}, topic="listing:7") for number in (1, 2)]


async def test_nothing_that_follows_a_change_is_seen_before_the_look_of_a_busy_channel(
    node: Endpoint, market: Market
) -> None:
    buyer = await looking(node, market)
    buyer.says("j1", "r1", "listing:7", "access_token", {"access_token": "x"})
    market.kinds[7] = OWNERS
    change(node)
    assert told(buyer) == []
    market.tokens.set()
    await looked([buyer])
    refusal = reply("r1", {"reason": "invalid token"}, "error", topic="listing:7")
    assert told(buyer) == [refusal, *removed()]


async def test_changes_that_follow_each_other_are_each_looked_at_in_their_order(node: Endpoint, market: Market) -> None:
    buyer = await looking(node, market)
    market.is_open.clear()
    change(node)
    change(node)
    market.is_open.set()
    await looked([buyer])
    assert [frame.event for frame in told(buyer)] == [LISTING_UPDATED] * 2
    market.kinds[7] = OWNERS
    change(node)
    change(node)
    await looked([buyer])
    assert told(buyer) == removed()


async def test_what_cannot_be_known_is_not_allowed(node: Endpoint, market: Market) -> None:
    buyer = await looking(node, market)
    market.is_away = True
    change(node)
    await looked([buyer])
    assert told(buyer) == [crashed(topic="listing:7")]


def role_changed(node: Endpoint) -> None:
    node.connections.role_changed(MODERATOR, Role.USER)


def category_changed(node: Endpoint) -> None:
    tell(node, control.CATEGORY_CHANGED, control.category_changed(CATEGORY))


def seller_changed(node: Endpoint) -> None:
    tell(node, control.SELLER_CHANGED, control.seller_changed(SELLER))


def gap(node: Endpoint) -> None:
    node.link_restored(3.0)


def tell(node: Endpoint, event: str, payload: dict[str, Any]) -> None:
    """As another process does."""
    node.receive(control.CONTROL, pack(Envelope("another node", event, json_payload(payload))))


@pytest.mark.parametrize("happens", [role_changed, category_changed, seller_changed, gap])
async def test_whatever_may_end_access_is_looked_at_before_anything_that_follows(
    node: Endpoint, market: Market, happens: Any
) -> None:
    moderator = await looking(node, market, MODERATOR)
    market.kinds[7] = MODERATORS if happens is role_changed else frozenset()
    happens(node)
    node.broadcast("listing:7", REPLY_CREATED, {"text": "secret"})
    await looked([moderator])
    assert told(moderator) == removed()
    assert market.asked == [[7]]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (control.CATEGORY_CHANGED, control.category_changed(CATEGORY + 1)),
        (control.SELLER_CHANGED, control.seller_changed(SELLER + 1)),
    ],
)
async def test_what_concerns_other_listings_is_not_looked_at(
    node: Endpoint, market: Market, event: str, payload: dict[str, Any]
) -> None:
    buyer = await looking(node, market)
    tell(node, event, payload)
    node.broadcast("listing:7", REPLY_CREATED, {"text": "here"})
    await looked([buyer])
    assert [frame.event for frame in told(buyer)] == [REPLY_CREATED]
    assert market.asked == []


async def test_a_message_that_it_does_not_know_is_a_mistake_and_not_a_join(node: Endpoint, market: Market) -> None:
    buyer = await looking(node, market)
    buyer.session.topics["listing:7"].server.send_info("no such thing")
    await looked([buyer])
    assert told(buyer) == [crashed(topic="listing:7")]
