"""Tests the channel of moderators without sockets and Postgres: who may join, who is told what, and claims."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.channels.moderation import Moderation
from gateway.read_again import read_again_after_gaps
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.access.admission import Banned
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.domain.users import Role
from shared.events.moderation import QUEUE_EVENTS, queue_payload
from shared.events.topics import private_chat
from shared.postgres import DatabaseUnavailable
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.repositories.listing_access import Audience, SeenListing
from tests.gateway.nodes import Client, actor, broadcast, closed, push, reply, start_node, wait_for_looks
from tests.support.waiting import until

MONA, OTTO, ROOT, EVE = 1, 2, 3, 4
HERS = 6
"""A listing of Mona's; every other one that there is belongs to Eve."""
NOWHERE = 404
ROLES = {MONA: Role.MODERATOR, OTTO: Role.MODERATOR, ROOT: Role.ADMIN, EVE: Role.USER}
TOPIC = "moderation"
LISTING = {"kind": "listing", "id": 5}


class Staff:
    """Stands for Postgres, which knows everybody's role; it fails while `is_away`."""

    def __init__(self) -> None:
        self.roles = dict(ROLES)
        self.is_away = False
        self.context = SimpleNamespace(
            admission=SimpleNamespace(readmit=self.readmit),
            audiences=SimpleNamespace(get_now=self.audience),
            join_budget=None,
        )

    async def audience(self, listing_id: int) -> Audience | None:
        if self.is_away:
            raise DatabaseUnavailable("away")
        if listing_id == NOWHERE:
            return None
        seller_id = MONA if listing_id == HERS else EVE
        return Audience(SeenListing(listing_id, seller_id, 1, datetime.now(UTC), True), frozenset())

    async def readmit(self, known: Actor) -> Actor:
        if self.is_away:
            raise DatabaseUnavailable("away")
        if known.user_id not in self.roles:
            raise Banned
        return known.with_role(self.roles[known.user_id])


@pytest.fixture
def staff() -> Staff:
    return Staff()


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub()


@pytest.fixture
async def node(staff: Staff, hub: MemoryHub) -> AsyncIterator[Endpoint]:
    endpoint = await start_node({TOPIC: Moderation}, hub, context=staff.context)
    yield endpoint
    await endpoint.stop()


async def member(node: Endpoint, user_id: int) -> Client:
    client = Client(node, actor(user_id, role=ROLES[user_id]))
    client.says("j1", "join", TOPIC, "phx_join")
    [answer, *_] = await client.until("presence_state")
    assert answer.payload["status"] == "ok"
    client.take()
    return client


def frames_about(client: Client, *keys: str) -> list[Any]:
    """What the client has got of these groups, by presence or as `taken`."""
    found = []
    for frame in client.take():
        if frame.event == "taken":
            found.append(f"{frame.payload['kind']}:{frame.payload['id']}")
        elif frame.event == "presence_state":
            found += [key for key in frame.payload if key in keys]
        elif frame.event == "presence_diff":
            found += [key for entries in frame.payload.values() for key in entries if key in keys]
    return found


def claims(client: Client, **more: Any) -> Any:
    """Claim the listing, and return the answer, without what else has arrived."""
    client.says("j1", "claim", TOPIC, "claim", {**LISTING, **more})
    [answer] = [frame for frame in client.received if frame.ref == "claim"]
    client.received.remove(answer)
    return answer.payload


def holders(client: Client) -> list[int]:
    """Who holds the listing, as the node of this client knows."""
    metas = client.endpoint.presence.list(TOPIC).get("listing:5", {"metas": []})["metas"]
    return [meta["user_id"] for meta in sorted(metas, key=lambda meta: (meta["at"], meta["phx_ref"]))]


@pytest.mark.parametrize("user_id", [MONA, ROOT])
async def test_moderators_and_admins_join_and_count_as_online(node: Endpoint, user_id: int) -> None:
    await member(node, user_id)
    assert isinstance(node.broker, MemoryBroker)
    assert node.broker._subscriptions[private_chat(user_id)] > 0


async def test_nobody_else_joins_whatever_the_node_believes(node: Endpoint, staff: Staff) -> None:
    staff.roles[OTTO] = Role.USER
    del staff.roles[MONA]
    for user_id, role in ((EVE, Role.USER), (OTTO, Role.MODERATOR), (MONA, Role.MODERATOR)):
        client = Client(node, actor(user_id, role=role))
        client.says("j1", "r1", TOPIC, "phx_join")
        assert await client.gets(1) == [reply("r1", {"reason": "unauthorized"}, "error", topic=TOPIC)]


async def test_a_join_without_the_database_is_answered_try_again(node: Endpoint, staff: Staff) -> None:
    staff.is_away = True
    client = Client(node, actor(MONA, role=Role.MODERATOR))
    client.says("j1", "r1", TOPIC, "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": "try again"}, "error", topic=TOPIC)]


async def test_who_loses_the_role_leaves_the_channel_and_the_claim_ends(node: Endpoint) -> None:
    mona, otto = await member(node, MONA), await member(node, OTTO)
    assert claims(mona)["status"] == "ok"
    mona.take()
    node.connections.role_changed(MONA, Role.USER)
    node.broadcast(TOPIC, "reported", queue_payload(GroupSubject(SubjectKind.LISTING, 5), EVE, [1]))
    await wait_for_looks(mona, otto)
    await until(lambda: closed(topic=TOPIC) in mona.received)
    assert "reported" not in [frame.event for frame in mona.received]
    assert holders(otto) == []
    assert claims(otto)["status"] == "ok"


async def test_who_becomes_an_admin_stays(node: Endpoint) -> None:
    mona = await member(node, MONA)
    node.connections.role_changed(MONA, Role.ADMIN)
    await wait_for_looks(mona)
    assert claims(mona)["status"] == "ok"


@pytest.mark.parametrize("event", sorted(QUEUE_EVENTS))
async def test_all_moderators_but_the_one_whom_it_is_about_are_told(node: Endpoint, event: str) -> None:
    mona, otto = await member(node, MONA), await member(node, OTTO)
    payload = queue_payload(GroupSubject(SubjectKind.PERSON, OTTO), OTTO, [7])
    node.broadcast(TOPIC, event, payload)
    other = queue_payload(GroupSubject(SubjectKind.LISTING, 5), EVE, [8])
    node.broadcast(TOPIC, event, other)
    await wait_for_looks(mona, otto)
    assert mona.take() == [push(event, payload, TOPIC), push(event, other, TOPIC)]
    assert otto.take() == [push(event, other, TOPIC)]


async def test_after_a_gap_between_nodes_all_members_read_the_queue_again(node: Endpoint) -> None:
    mona = await member(node, MONA)
    read_again_after_gaps(node)
    node.gap(2.0)
    assert mona.take() == [broadcast("look_again", {}, TOPIC)]


async def test_a_group_that_somebody_holds_is_refused_with_who_it_is(node: Endpoint) -> None:
    mona, otto = await member(node, MONA), await member(node, OTTO)
    assert claims(mona) == {"status": "ok", "response": {}}
    assert claims(mona) == {"status": "ok", "response": {}}
    by = {"id": MONA, "name": "A name"}
    assert claims(otto) == {"status": "error", "response": {"reason": "claimed", "by": by}}
    assert holders(otto) == [MONA]
    mona.says("j1", "r9", TOPIC, "release")
    assert claims(otto)["status"] == "ok"
    assert holders(mona) == [OTTO]


async def test_a_second_claim_ends_the_first(node: Endpoint) -> None:
    mona = await member(node, MONA)
    claims(mona)
    mona.says("j1", "r2", TOPIC, "claim", {"kind": "person", "id": EVE})
    assert list(node.presence.list(TOPIC)) == [f"person:{EVE}"]


async def test_a_claim_ends_when_its_channel_is_left_or_its_connection_breaks(node: Endpoint) -> None:
    mona, otto = await member(node, MONA), await member(node, OTTO)
    claims(mona)
    mona.says("j1", "r2", TOPIC, "phx_leave")
    await until(lambda: holders(otto) == [])
    claims(otto)
    watcher = await member(node, ROOT)
    otto.dropped()
    await until(lambda: holders(watcher) == [])


async def test_who_takes_a_group_over_holds_it_and_all_are_told(node: Endpoint) -> None:
    mona, otto, root = [await member(node, user_id) for user_id in (MONA, OTTO, ROOT)]
    claims(mona)
    assert claims(otto, take=True)["status"] == "ok"
    await wait_for_looks(mona, otto, root)
    await until(lambda: holders(root) == [OTTO])
    told = push("taken", {**LISTING, "person_id": EVE, "by": {"id": OTTO, "name": "A name"}}, TOPIC)
    for client in (mona, root):
        assert told in client.take()


async def test_claims_are_seen_on_all_nodes_and_end_with_their_node(
    staff: Staff, hub: MemoryHub, node: Endpoint
) -> None:
    other = await start_node({TOPIC: Moderation}, hub, context=staff.context)
    mona, otto = await member(node, MONA), await member(other, OTTO)
    claims(mona)
    await until(lambda: holders(otto) == [MONA])
    assert claims(otto)["response"]["reason"] == "claimed"
    assert claims(otto, take=True)["status"] == "ok"
    await until(lambda: holders(mona) == [OTTO])
    await other.stop()
    await until(lambda: holders(mona) == [])


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"kind": "listing"},
        {"kind": "listing", "id": 0},
        {"kind": "listing", "id": -1},
        {"kind": "listing", "id": True},
        {"kind": "listing", "id": "x"},
        {"kind": "listing", "id": 2**63},
        {"kind": "car", "id": 5},
        {"kind": ["listing"], "id": 5},
        {"kind": None, "id": 5},
        {"kind": "person", "id": MONA},
        {"kind": "person", "id": MONA, "take": True},
        {"kind": "listing", "id": HERS},
        {"kind": "listing", "id": HERS, "take": True},
        {"kind": "listing", "id": NOWHERE},
    ],
)
async def test_a_claim_of_nothing_or_of_oneself_is_refused(node: Endpoint, payload: Any) -> None:
    mona = await member(node, MONA)
    mona.says("j1", "r1", TOPIC, "claim", payload)
    assert mona.take() == [reply("r1", {"reason": "invalid claim"}, "error", topic=TOPIC)]


@pytest.mark.parametrize("group", [{"kind": "person", "id": MONA}, {"kind": "listing", "id": HERS}])
async def test_who_is_reported_sees_no_claim_about_themselves(
    node: Endpoint, staff: Staff, hub: MemoryHub, group: dict[str, Any]
) -> None:
    key = f"{group['kind']}:{group['id']}"
    other = await start_node({TOPIC: Moderation}, hub, context=staff.context)
    mona, otto, root = await member(node, MONA), await member(other, OTTO), await member(node, ROOT)
    otto.says("j1", "r2", TOPIC, "claim", group)
    await until(lambda: key in node.presence.list(TOPIC))
    root.says("j1", "r2", TOPIC, "claim", {**group, "take": True})
    otto.says("j1", "r3", TOPIC, "claim", LISTING)
    await until(lambda: "listing:5" in node.presence.list(TOPIC))
    root.says("j1", "r3", TOPIC, "release")
    await wait_for_looks(mona, otto, root)
    assert set(frames_about(root, key, "listing:5")) == {key, "listing:5"}
    # What else happens reaches her.
    assert set(frames_about(mona, key, "listing:5")) == {"listing:5"}
    await until(lambda: key not in other.presence.list(TOPIC))
    otto.says("j1", "r4", TOPIC, "claim", group)
    await until(lambda: key in node.presence.list(TOPIC))
    again = Client(node, actor(MONA, role=Role.MODERATOR))
    again.says("j1", "j1", TOPIC, "phx_join")
    [*_, state] = await again.until("presence_state")
    assert state.payload == {}
    again.says("j1", "r1", TOPIC, "claim", {**group, "take": True})
    assert again.take()[-1] == reply("r1", {"reason": "invalid claim"}, "error", topic=TOPIC)
    await other.stop()


async def test_a_claim_without_the_database_is_answered_try_again(node: Endpoint, staff: Staff) -> None:
    mona = await member(node, MONA)
    staff.is_away = True
    assert claims(mona) == {"status": "error", "response": {"reason": "try again"}}
    staff.is_away = False
    assert claims(mona)["status"] == "ok"


async def test_claims_are_limited(node: Endpoint, staff: Staff) -> None:
    staff.context.join_budget = SimpleNamespace(take=lambda user_id: False)
    mona = await member(node, MONA)
    assert claims(mona)["response"] == {"reason": "too many requests"}
