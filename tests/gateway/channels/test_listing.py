"""Tests the channel of a listing without sockets and Postgres: who may stay, and how many statements that costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.channels import listing
from gateway.channels.listing import Listing
from gateway.read_again import read_again_after_gaps
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.access.admission import BadToken
from shared.access.seal import Seal
from shared.domain.users import Role
from shared.events import control
from shared.events.envelope import SEALED_FOR, Envelope, json_payload, pack
from shared.events.listings import LISTING_REMOVED, LISTING_UPDATED, LOOK_AGAIN
from shared.events.replies import REPLY_CREATED
from shared.events.topics import private_chat
from shared.postgres import DatabaseUnavailable
from shared.pubsub.memory import MemoryBroker
from shared.repositories.listing_access import Audience, SeenListing
from shared.repositories.shared_reads import SharedReads
from tests.gateway.nodes import Client, actor, broadcast, closed, crashed, push, reply, start_node, wait_for_looks
from tests.protocol.client_frames import Received
from tests.support.waiting import until

SELLER, BUYER, MODERATOR = 1, 2, 3
CATEGORY = 40
EVERYONE = frozenset((role, owns) for role in Role for owns in (False, True))
MODERATORS = frozenset(kind for kind in EVERYONE if kind[0] is not Role.USER)
OWNERS = MODERATORS | {(Role.USER, True)}


class Market:
    """Stands for Postgres: records what it is asked, answers while `is_open` is set, and fails while `is_away`."""

    def __init__(self) -> None:
        self.kinds: dict[int, frozenset[tuple[Role, bool]]] = {}
        self.asked: list[list[int]] = []
        self.blocked: dict[int, frozenset[int]] = {}
        self.asked_for_blocks: list[list[int]] = []
        self.are_blocks_read = asyncio.Event()
        self.are_blocks_read.set()
        self.are_blocks_away = False
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.is_away = False
        self.tokens = asyncio.Event()
        self.context = SimpleNamespace(
            audiences=SharedReads(self.audiences, most=500),
            blocked=SharedReads(self.whom_they_blocked, most=500),
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

    async def whom_they_blocked(self, user_ids: Sequence[int]) -> dict[int, frozenset[int]]:
        found = {user_id: self.blocked[user_id] for user_id in user_ids if user_id in self.blocked}
        self.asked_for_blocks.append(list(user_ids))
        await self.are_blocks_read.wait()
        if self.are_blocks_away:
            raise DatabaseUnavailable("away")
        return found

    async def admit(self, token: str) -> Actor:
        await self.tokens.wait()
        raise BadToken("bad")


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
async def node(market: Market, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    monkeypatch.setattr(listing, "SPREAD_SECONDS", 0.05)
    endpoint = await start_node({"listing:*": Listing}, context=market.context)
    read_again_after_gaps(endpoint)
    yield endpoint
    await endpoint.stop()


async def viewer_of(node: Endpoint, market: Market, user_id: int = BUYER, listing_id: int = 7) -> Client:
    """A client that has joined a listing. Everyone may see the listing unless `market.kinds` says otherwise."""
    market.kinds.setdefault(listing_id, EVERYONE)
    client = Client(node, actor(user_id, role=Role.MODERATOR if user_id == MODERATOR else Role.USER))
    client.says("j1", "join", f"listing:{listing_id}", "phx_join")
    [answer, *_] = await client.until("presence_state")
    assert answer.payload["status"] == "ok"
    client.take()
    market.asked.clear()
    return client


def frames(client: Client) -> list[Received]:
    """The frames that a client got, without presence diffs."""
    return [frame for frame in client.take() if frame.event != "presence_diff"]


def removed(listing_id: int = 7) -> list[Received]:
    topic = f"listing:{listing_id}"
    return [push(LISTING_REMOVED, {"id": listing_id}, topic=topic), closed(topic=topic)]


def change(node: Endpoint, listing_id: int = 7) -> None:
    """Broadcast what the API publishes after a change."""
    node.broadcast(f"listing:{listing_id}", LOOK_AGAIN, {"id": listing_id})
    node.broadcast(f"listing:{listing_id}", LISTING_UPDATED, {"id": listing_id, "price": 900})


# Joining


async def test_a_user_who_may_see_a_listing_joins_and_is_shown_to_its_viewers(node: Endpoint, market: Market) -> None:
    buyer = await viewer_of(node, market)
    assert [frame.event for frame in buyer.take()] in ([], ["presence_diff"])
    seller = await viewer_of(node, market, SELLER)
    [diff] = [frame for frame in buyer.take() if "1" in frame.payload["joins"]]
    assert diff.event == "presence_diff"
    await wait_for_looks(seller)


async def test_a_viewer_counts_as_online_until_the_last_of_their_listings_is_left(
    node: Endpoint, market: Market
) -> None:
    def is_online() -> bool:
        assert isinstance(node.broker, MemoryBroker)
        return node.broker._subscriptions[private_chat(BUYER)] > 0

    buyer = await viewer_of(node, market)
    other = await viewer_of(node, market, listing_id=8)
    assert is_online()
    buyer.says("j1", "r2", "listing:7", "phx_leave")
    await buyer.until("phx_close")
    assert is_online()
    other.dropped()
    await until(lambda: not is_online())
    # Who is refused has joined nothing.
    market.kinds[9] = MODERATORS
    refused = Client(node, BUYER)
    refused.says("j1", "r1", "listing:9", "phx_join")
    await refused.gets(1)
    assert not is_online()


@pytest.mark.parametrize("topic", ["listing:8", "listing:x", "listing:0", "listing:"])
async def test_a_join_of_an_absent_listing_is_answered_not_found(node: Endpoint, topic: str) -> None:
    client = Client(node)
    client.says("j1", "r1", topic, "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "not found"}, "error", topic=topic)]


async def test_a_join_of_an_invisible_listing_is_answered_not_found(node: Endpoint, market: Market) -> None:
    market.kinds[7] = MODERATORS
    client = Client(node, BUYER)
    client.says("j1", "r1", "listing:7", "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "not found"}, "error", topic="listing:7")]
    await viewer_of(node, market, MODERATOR)


async def test_a_join_without_the_database_is_answered_try_again(node: Endpoint, market: Market) -> None:
    market.is_away = True
    client = Client(node, BUYER)
    client.says("j1", "r1", "listing:7", "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "try again"}, "error", topic="listing:7")]


# How many statements a look costs


async def test_a_change_costs_one_statement_for_any_number_of_viewers(node: Endpoint, market: Market) -> None:
    viewers = [await viewer_of(node, market, user_id) for user_id in range(10, 110)]
    change(node)
    await wait_for_looks(*viewers)
    assert market.asked == [[7]]


async def test_a_gap_costs_a_statement_for_five_hundred_listings_and_a_few_for_their_viewers_and_no_diffs(
    node: Endpoint, market: Market
) -> None:
    market.blocked[10] = frozenset({610})
    viewers = [await viewer_of(node, market, 10 + number, 1 + number % 600) for number in range(1200)]
    for viewer in viewers:
        viewer.take()
    market.asked_for_blocks.clear()
    node.link_restored(1.0)
    # Another gap follows before the blocks have been read again.
    node.link_restored(1.0)
    await wait_for_looks(*viewers)
    assert sorted(map(len, market.asked)) == [100, 500]
    await until(lambda: sum(map(len, market.asked_for_blocks)) >= len(viewers))
    await wait_for_looks(*viewers)
    # Each of them is read once, and most of them together.
    asked = [user_id for asked in market.asked_for_blocks for user_id in asked]
    assert sorted(asked) == sorted(set(asked))
    assert len(asked) == len(viewers)
    assert len(market.asked_for_blocks) < 100
    assert [frame for viewer in viewers for frame in viewer.take() if frame.event.startswith("presence")] == []


async def test_concurrent_joins_share_a_statement(node: Endpoint, market: Market) -> None:
    market.kinds[7] = EVERYONE
    clients = [Client(node, user_id) for user_id in range(10, 60)]
    for client in clients:
        client.says("j1", "join", "listing:7", "phx_join")
    for client in clients:
        await client.until("presence_state")
    # One statement for the first join, and one for all that come while it runs.
    assert len(market.asked) <= 2


# What a look leads to


async def test_a_viewer_who_may_no_longer_see_the_listing_is_removed_and_others_stay(
    node: Endpoint, market: Market
) -> None:
    buyer, seller, moderator = [await viewer_of(node, market, user_id) for user_id in (BUYER, SELLER, MODERATOR)]
    market.kinds[7] = OWNERS
    change(node)
    await wait_for_looks(buyer, seller, moderator)
    assert frames(buyer) == removed()
    updated = broadcast(LISTING_UPDATED, {"id": 7, "price": 900}, topic="listing:7")
    assert frames(seller) == frames(moderator) == [updated]


@pytest.mark.parametrize("event", [LISTING_UPDATED, REPLY_CREATED])
async def test_broadcasts_after_a_change_are_held_until_the_look(node: Endpoint, market: Market, event: str) -> None:
    buyer, seller = await viewer_of(node, market), await viewer_of(node, market, SELLER)
    node.broadcast("listing:7", event, {"n": 0})
    market.is_open.clear()
    market.kinds[7] = OWNERS
    node.broadcast("listing:7", LOOK_AGAIN, {"id": 7})
    for number in (1, 2):
        node.broadcast("listing:7", event, {"n": number})
    before = broadcast(event, {"n": 0}, topic="listing:7")
    assert frames(buyer) == frames(seller) == [before]
    market.is_open.set()
    await wait_for_looks(buyer, seller)
    assert frames(buyer) == removed()
    assert frames(seller) == [broadcast(event, {"n": number}, topic="listing:7") for number in (1, 2)]


async def test_broadcasts_after_a_change_are_held_until_the_look_of_a_busy_channel(
    node: Endpoint, market: Market
) -> None:
    buyer = await viewer_of(node, market)
    buyer.says("j1", "r1", "listing:7", "access_token", {"access_token": "x"})
    market.kinds[7] = OWNERS
    change(node)
    assert frames(buyer) == []
    market.tokens.set()
    await wait_for_looks(buyer)
    refusal = reply("r1", {"reason": "invalid token"}, "error", topic="listing:7")
    assert frames(buyer) == [refusal, *removed()]


async def test_successive_changes_are_looked_at_in_their_order(node: Endpoint, market: Market) -> None:
    buyer = await viewer_of(node, market)
    market.is_open.clear()
    change(node)
    change(node)
    market.is_open.set()
    await wait_for_looks(buyer)
    assert [frame.event for frame in frames(buyer)] == [LISTING_UPDATED] * 2
    market.kinds[7] = OWNERS
    change(node)
    change(node)
    await wait_for_looks(buyer)
    assert frames(buyer) == removed()


async def test_a_viewer_whose_access_cannot_be_looked_up_is_removed(node: Endpoint, market: Market) -> None:
    buyer = await viewer_of(node, market)
    market.is_away = True
    change(node)
    await wait_for_looks(buyer)
    assert frames(buyer) == [crashed(topic="listing:7")]


def role_changed(node: Endpoint) -> None:
    node.connections.role_changed(MODERATOR, Role.USER)


def category_changed(node: Endpoint) -> None:
    tell(node, control.CATEGORY_CHANGED, control.category_changed(CATEGORY))


def seller_changed(node: Endpoint) -> None:
    tell(node, control.SELLER_CHANGED, control.seller_changed(SELLER))


def blocks_changed(node: Endpoint) -> None:
    tell(node, control.BLOCKS_CHANGED, control.blocks_changed(9))


def gap(node: Endpoint) -> None:
    node.link_restored(3.0)


def tell(node: Endpoint, event: str, payload: dict[str, Any]) -> None:
    """Publish an event on the control topic as another process does."""
    envelope = pack(Envelope("another node", event, json_payload(payload)))
    node.receive(control.CONTROL, Seal.of(node.settings, SEALED_FOR).sealed(control.CONTROL, envelope))


@pytest.mark.parametrize("cause", [role_changed, category_changed, seller_changed, gap])
async def test_whatever_may_end_access_holds_broadcasts_until_the_look(
    node: Endpoint, market: Market, cause: Any
) -> None:
    moderator = await viewer_of(node, market, MODERATOR)
    market.kinds[7] = MODERATORS if cause is role_changed else frozenset()
    cause(node)
    node.broadcast("listing:7", REPLY_CREATED, {"text": "secret"})
    await wait_for_looks(moderator)
    assert frames(moderator) == removed()
    assert market.asked == [[7]]


async def test_after_a_gap_those_who_may_stay_are_told_to_read_the_listing_again(
    node: Endpoint, market: Market
) -> None:
    buyer, seller, other = await viewer_of(node, market), await viewer_of(node, market, SELLER), Client(node, 20)
    await other.joins("listing:7")
    elsewhere = await viewer_of(node, market, listing_id=8)
    market.is_open.clear()
    gap(node)
    assert [frames(client) for client in (buyer, seller, elsewhere)] == [[]] * 3
    market.kinds[7] = OWNERS
    market.is_open.set()
    await wait_for_looks(buyer, seller, other, elsewhere)
    assert (frames(buyer), frames(other)[-2:]) == (removed(), removed())
    assert frames(seller) == [broadcast(LISTING_UPDATED, {"id": 7}, topic="listing:7")]
    assert frames(elsewhere) == [broadcast(LISTING_UPDATED, {"id": 8}, topic="listing:8")]


async def test_a_gap_during_a_join_makes_the_client_read_the_listing_again(node: Endpoint, market: Market) -> None:
    market.kinds[7] = EVERYONE
    market.is_open.clear()
    client = Client(node, BUYER)
    client.says("j1", "join", "listing:7", "phx_join")
    await until(lambda: market.asked == [[7]])
    gap(node)
    market.is_open.set()
    [answer, *_] = await client.until(LISTING_UPDATED)
    assert answer.payload["status"] == "ok"


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (control.CATEGORY_CHANGED, control.category_changed(CATEGORY + 1)),
        (control.SELLER_CHANGED, control.seller_changed(SELLER + 1)),
    ],
)
async def test_a_notice_about_other_listings_causes_no_look(
    node: Endpoint, market: Market, event: str, payload: dict[str, Any]
) -> None:
    buyer = await viewer_of(node, market)
    tell(node, event, payload)
    node.broadcast("listing:7", REPLY_CREATED, {"text": "here"})
    await wait_for_looks(buyer)
    assert [frame.event for frame in frames(buyer)] == [REPLY_CREATED]
    assert market.asked == []


async def test_an_unknown_message_crashes_the_channel(node: Endpoint, market: Market) -> None:
    buyer = await viewer_of(node, market)
    buyer.session.topics["listing:7"].server.send_info("no such thing")
    await wait_for_looks(buyer)
    assert frames(buyer) == [crashed(topic="listing:7")]


async def test_moderators_and_users_who_have_blocked_somebody_see_others_and_are_not_shown(
    node: Endpoint, market: Market
) -> None:
    seller, buyer = await viewer_of(node, market, SELLER), await viewer_of(node, market, BUYER)
    seller.take()
    market.blocked[9] = frozenset({11})
    hidden = [await viewer_of(node, market, user_id) for user_id in (MODERATOR, 9)]
    assert sorted(node.presence.list("listing:7")) == [str(SELLER), str(BUYER)]
    assert (seller.take(), buyer.take()) == ([], [])
    await viewer_of(node, market, 10)
    for client in (seller, buyer, *hidden):
        assert [frame.payload["joins"].keys() for frame in client.take()] == [{"10"}]


async def test_neither_side_of_a_block_sees_that_the_other_one_looks(node: Endpoint, market: Market) -> None:
    seller, blocked = await viewer_of(node, market, SELLER), await viewer_of(node, market, 11)
    market.blocked[9] = frozenset({11})
    blocker = Client(node, actor(9))
    blocker.says("j1", "join", "listing:7", "phx_join")
    [_, state] = await blocker.until("presence_state")
    assert list(state.payload) == [str(SELLER)]
    seller.take(), blocked.take()
    # Another device of the blocked person comes and goes, and somebody else comes.
    device = await viewer_of(node, market, 11)
    device.says("j1", "leave", "listing:7", "phx_leave")
    await viewer_of(node, market, 10)
    assert [frame.payload["joins"].keys() for frame in blocker.take()] == [{"10"}]
    assert str(9) not in node.presence.list("listing:7")


async def test_a_block_and_its_end_are_seen_at_once_by_those_who_look(node: Endpoint, market: Market) -> None:
    blocker, blocked = await viewer_of(node, market, 9), await viewer_of(node, market, 11)
    blocker.take()
    market.blocked[9] = frozenset({11})
    blocks_changed(node)
    [*_, state] = await blocker.until("presence_state")
    assert state.payload == {}
    assert [frame.payload["leaves"].keys() for frame in blocked.take()] == [{"9"}]
    del market.blocked[9]
    blocks_changed(node)
    [*_, state] = await blocker.until("presence_state")
    assert list(state.payload) == ["11"]
    assert [frame.payload["joins"].keys() for frame in blocked.take()] == [{"9"}]


async def test_a_block_of_which_the_node_was_not_told_is_seen_after_the_gap(node: Endpoint, market: Market) -> None:
    blocker, blocked = await viewer_of(node, market, 9), await viewer_of(node, market, 11)
    blocker.take()
    market.blocked[9] = frozenset({11})
    gap(node)
    [*_, state] = await blocker.until("presence_state")
    assert state.payload == {}
    await wait_for_looks(blocker, blocked)
    assert [frame.payload["leaves"].keys() for frame in blocked.take() if frame.event == "presence_diff"] == [{"9"}]


async def test_blocks_that_cannot_be_read_after_a_gap_are_read_later(node: Endpoint, market: Market) -> None:
    blocker, blocked = await viewer_of(node, market, 9), await viewer_of(node, market, 11)
    blocker.take()
    market.blocked[9] = frozenset({11})
    market.are_blocks_away = True
    market.asked_for_blocks.clear()
    gap(node)
    await until(lambda: sum(map(len, market.asked_for_blocks)) >= 4)
    market.are_blocks_away = False
    [*_, state] = await blocker.until("presence_state")
    assert state.payload == {}
    await wait_for_looks(blocker, blocked)


@pytest.mark.parametrize("told", [blocks_changed, gap])
async def test_a_block_during_a_join_is_seen(node: Endpoint, market: Market, told: Callable[[Endpoint], None]) -> None:
    blocked = await viewer_of(node, market, 11)
    market.are_blocks_read.clear()
    blocker = Client(node, actor(9))
    blocker.says("j1", "join", "listing:7", "phx_join")
    await until(lambda: market.asked_for_blocks[-1:] == [[9]])
    # The join has read that nobody is blocked, and does not know the answer yet.
    market.blocked[9] = frozenset({11})
    told(node)
    market.are_blocks_read.set()
    await blocker.until("presence_state")
    await until(lambda: list(node.presence.list("listing:7")) == ["11"])
    await wait_for_looks(blocker)
    blocked.take(), blocker.take()
    # What the blocked person does reaches the blocker no more.
    blocked.dropped()
    await viewer_of(node, market, 10)
    assert [frame.payload["joins"].keys() for frame in blocker.take()] == [{"10"}]


async def test_who_comes_during_the_join_of_a_person_who_has_blocked_them_is_not_shown(
    node: Endpoint, market: Market
) -> None:
    market.kinds[7] = EVERYONE
    market.blocked[9] = frozenset({11})
    market.are_blocks_read.clear()
    blocker = Client(node, actor(9))
    blocker.says("j1", "join", "listing:7", "phx_join")
    await until(lambda: market.asked_for_blocks[-1:] == [[9]])
    node.presence.track("listing:7", "11", {"name": "Eve"}, object())
    node.presence.track("listing:7", "12", {"name": "Ann"}, object())
    market.are_blocks_read.set()
    got = [*await blocker.until("presence_state"), *blocker.take()]
    shown = [frame.payload.get("joins", frame.payload) for frame in got if frame.event.startswith("presence")]
    assert {person for people in shown for person in people} == {"12"}


async def test_a_seller_who_is_a_moderator_is_shown_on_their_own_listing(node: Endpoint, market: Market) -> None:
    market.kinds[7] = EVERYONE
    client = Client(node, actor(SELLER, role=Role.MODERATOR))
    client.says("j1", "join", "listing:7", "phx_join")
    await client.until("presence_state")
    assert list(node.presence.list("listing:7")) == [str(SELLER)]


async def test_a_viewer_who_becomes_a_moderator_is_no_longer_shown(node: Endpoint, market: Market) -> None:
    client = await viewer_of(node, market)
    node.connections.role_changed(BUYER, Role.MODERATOR)
    await wait_for_looks(client)
    assert node.presence.list("listing:7") == {}


async def test_a_moderator_who_becomes_a_user_again_is_shown_unless_they_have_blocked_somebody(
    node: Endpoint, market: Market
) -> None:
    client, other = await viewer_of(node, market, MODERATOR), await viewer_of(node, market, BUYER)
    other.take()
    node.connections.role_changed(MODERATOR, Role.USER)
    await wait_for_looks(client)
    assert [frame.payload["joins"].keys() for frame in other.take()] == [{str(MODERATOR)}]
    node.connections.role_changed(MODERATOR, Role.MODERATOR)
    await wait_for_looks(client)
    market.blocked[MODERATOR] = frozenset({11})
    tell(node, control.BLOCKS_CHANGED, control.blocks_changed(MODERATOR))
    node.connections.role_changed(MODERATOR, Role.USER)
    await wait_for_looks(client)
    assert list(node.presence.list("listing:7")) == [str(BUYER)]
