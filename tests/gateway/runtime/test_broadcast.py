"""Tests which clients get a broadcast, in which order, and through which callback of their channel."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from gateway.channel import Channel, HandleResult, InfoResult, JoinResult, Ok
from gateway.protocol.serializer_v1 import SERIALIZER as V1
from shared.pubsub.memory import MemoryHub
from tests.gateway.nodes import Client, broadcast, closed, crashed, push, reply
from tests.gateway.runtime.conftest import Start
from tests.protocol.client_frames import Received


class Room(Channel):
    """Broadcasts in the way that the event names. It intercepts three events, and never pushes `secret`."""

    intercepts = frozenset({"masked", "secret", "stopping"})

    async def join(self, topic: str, params: Any) -> JoinResult:
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "shout":
                self.broadcast("shout", payload)
                return Ok()
            case "shout_from":
                self.broadcast_from("shout", payload)
                return Ok()
            case "shout_to":
                self.broadcast_to(payload["topic"], "shout", payload)
                return Ok()
            case "shout_to_all":
                self.broadcast_to_all(payload["topics"], "shout", payload)
                return Ok()
            case "masked" | "secret" | "stopping":
                self.broadcast(event, payload)
                return Ok()
            case "blob":
                self.broadcast("blob", b"\x00\xff")
                return Ok()
            case "unencodable":
                self.broadcast("shout", object())
                return Ok()
            case "ask":
                return Ok()
        return await super().handle_in(event, payload)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        match event:
            case "masked":
                payload["seen_by"] = self.actor.user_id
                self.push(event, payload)
            case "stopping":
                raise RuntimeError("asked to")
        return None


class Members:
    """Clients of the users 1, 2, ... that have joined `room:1`, spread over some nodes."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients

    def take(self) -> list[list[Received]]:
        return [client.take() for client in self.clients]


async def members(start: Start, count: int = 3, nodes: int = 1) -> Members:
    hub = MemoryHub()
    endpoints = [await start(Room, hub=hub) for _ in range(nodes)]
    clients = [Client(endpoints[number % nodes], number + 1) for number in range(count)]
    for client in clients:
        await client.joins("room:1")
    return Members(clients)


@pytest.fixture(params=[1, 2], ids=["one node", "two nodes"])
def nodes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


async def test_all_members_get_a_broadcast_and_the_sender_before_its_reply(start: Start, nodes: int) -> None:
    room = await members(start, nodes=nodes)
    room.clients[0].says("j1", "r1", "room:1", "shout", {"n": 1})
    shout = broadcast("shout", {"n": 1})
    assert room.take() == [[shout, reply("r1")], [shout], [shout]]


async def test_broadcast_from_reaches_all_members_except_the_sender(start: Start, nodes: int) -> None:
    room = await members(start, nodes=nodes)
    room.clients[0].says("j1", "r1", "room:1", "shout_from", {"n": 1})
    shout = broadcast("shout", {"n": 1})
    assert room.take() == [[reply("r1")], [shout], [shout]]


async def test_broadcasts_keep_their_order(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    for number in range(50):
        room.clients[0].says("j1", "r", "room:1", "shout_from", number)
    assert [frame.payload for frame in room.clients[1].take()] == list(range(50))


async def test_a_broadcast_does_not_reach_other_topics(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    other = Client(room.clients[1].endpoint, 9)
    await other.joins("room:2")
    room.clients[0].says("j1", "r1", "room:1", "shout")
    assert other.take() == []


async def test_a_channel_can_broadcast_to_another_topic(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    other = Client(room.clients[1].endpoint, 9)
    await other.joins("room:2", join_ref="j2")
    room.clients[0].says("j1", "r1", "room:1", "shout_to", {"topic": "room:2"})
    assert room.take() == [[reply("r1")], []]
    assert other.take() == [broadcast("shout", {"topic": "room:2"}, topic="room:2")]


async def test_a_broadcast_is_on_its_way_to_other_nodes_before_it_is_written_to_members_here(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(await start(Room))
    await client.joins("room:1")
    had: list[list[Received]] = []
    monkeypatch.setattr(client.endpoint.broker, "publish", lambda topic, data: had.append(client.take()))
    client.endpoint.broadcast("room:1", "shout", 1)
    assert (had, client.take()) == ([[]], [broadcast("shout", 1)])
    client.endpoint.broadcast_to_all(["room:1", "room:2"], "shout", 2)
    assert had == [[], [], [broadcast("shout", 2)]]


async def test_a_channel_can_broadcast_to_several_topics_at_once(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    other = Client(room.clients[1].endpoint, 9)
    await other.joins("room:2", join_ref="j2")
    payload = {"topics": ["room:1", "room:2", "room:3"]}
    room.clients[0].says("j1", "r1", "room:1", "shout_to_all", payload)
    assert room.take() == [[broadcast("shout", payload), reply("r1")], [broadcast("shout", payload)]]
    assert other.take() == [broadcast("shout", payload, topic="room:2")]


async def test_the_endpoint_can_broadcast_to_any_topic(start: Start, nodes: int) -> None:
    room = await members(start, nodes=nodes)
    room.clients[0].endpoint.broadcast("room:1", "news", {"n": 1})
    room.clients[0].endpoint.broadcast("room:none", "news", {"n": 1})
    assert room.take() == [[broadcast("news", {"n": 1})]] * 3


async def test_members_that_left_get_no_broadcast(start: Start, nodes: int) -> None:
    room = await members(start, nodes=nodes)
    room.clients[1].says("j1", "r1", "room:1", "phx_leave")
    room.clients[2].dropped()
    room.take()
    room.clients[0].says("j1", "r2", "room:1", "shout")
    assert room.take() == [[broadcast("shout"), reply("r2")], [], []]


async def test_members_of_both_versions_get_the_same_payload(start: Start) -> None:
    node = await start(Room)
    new, old = Client(node), Client(node, serializer=V1)
    await new.joins("room:1")
    await old.joins("room:1")
    payload = {"big": 2**70, "float": 1.0, "text": 'é✓🚗"'}
    node.broadcast("room:1", "news", payload)
    assert new.take() == [broadcast("news", payload)] == old.take()


async def test_a_binary_broadcast_is_not_sent_to_version_1(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    old = Client(room.clients[1].endpoint, 9, V1)
    await old.joins("room:1")
    room.clients[0].says("j1", "r1", "room:1", "blob")
    blob = Received("broadcast", None, None, "room:1", "blob", b"\x00\xff")
    assert room.take() == [[blob, reply("r1")], [blob]]
    assert old.take() == []
    old.says(None, 5, "room:1", "ask")
    assert old.events() == [5]


async def test_a_broadcast_that_cannot_be_encoded_crashes_only_the_sender(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    room.clients[0].says("j1", "r1", "room:1", "unencodable")
    assert room.take() == [[crashed()], []]


async def test_a_binary_broadcast_to_a_topic_that_is_too_long_crashes_only_the_sender(start: Start, nodes: int) -> None:
    topic = "room:" + "x" * 300
    hub = MemoryHub()
    endpoints = [await start(Room, hub=hub) for _ in range(nodes)]
    sender, member = Client(endpoints[0]), Client(endpoints[-1])
    await sender.joins(topic)
    await member.joins(topic)
    sender.says("j1", "r1", topic, "blob")
    assert sender.take() == [crashed(topic=topic)]
    member.says("j1", "r2", topic, "ask")
    assert member.take() == [reply("r2", topic=topic)]


@pytest.mark.parametrize(
    ("topic", "event"), [("room:" + "x" * 251, "e"), ("room:1", "é" * 128)], ids=["topic", "event"]
)
async def test_a_binary_broadcast_with_a_name_that_is_too_long_is_refused(start: Start, topic: str, event: str) -> None:
    node = await start(Room)
    with pytest.raises(ValueError, match="255"):
        node.broadcast(topic, event, b"\x00")
    member = Client(node)
    await member.joins(topic)
    node.broadcast(topic, event, {})
    assert member.take() == [broadcast(event, topic=topic)]


# Intercepted


async def test_an_intercepted_broadcast_goes_through_each_members_handle_out(start: Start, nodes: int) -> None:
    room = await members(start, nodes=nodes)
    room.clients[0].says("j1", "r1", "room:1", "masked", {"n": 1})
    first, *others = room.take()
    # The sender's own handle_out runs after its handle_in.
    assert first == [reply("r1"), push("masked", {"n": 1, "seen_by": 1})]
    assert others == [[push("masked", {"n": 1, "seen_by": user_id})] for user_id in (2, 3)]


async def test_handle_out_may_push_nothing(start: Start, nodes: int) -> None:
    room = await members(start, nodes=nodes)
    room.clients[0].says("j1", "r1", "room:1", "secret")
    assert room.take() == [[reply("r1")], [], []]


async def test_a_handle_out_that_raises_crashes_its_channel(start: Start, nodes: int) -> None:
    room = await members(start, count=2, nodes=nodes)
    room.clients[0].endpoint.broadcast("room:1", "stopping", {})
    assert room.take() == [[crashed()], [crashed()]]
    await room.clients[0].joins("room:1")


class Default(Channel):
    intercepts = frozenset({"seen"})

    async def join(self, topic: str, params: Any) -> JoinResult:
        return Ok()


async def test_by_default_handle_out_pushes_the_event(start: Start) -> None:
    client = Client(await start(Default))
    await client.joins("room:1")
    client.endpoint.broadcast("room:1", "seen", {"n": 1})
    assert client.take() == [push("seen", {"n": 1})]


async def test_an_event_or_a_message_without_a_handler_crashes_the_channel(start: Start) -> None:
    client = Client(await start(Default))
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "anything")
    assert client.take() == [crashed()]
    await client.joins("room:1")
    client.session.topics["room:1"].server.send_info("anything")
    assert client.take() == [crashed()]


# From the subscription to the reply


class Early(Channel):
    """Subscribes in its join, and then waits or crashes."""

    intercepts = frozenset({"masked"})
    subscribed: ClassVar[asyncio.Event]
    gate: ClassVar[asyncio.Event]

    async def join(self, topic: str, params: Any) -> JoinResult:
        if params == "early":
            await self.subscribe()
            self.subscribed.set()
            await self.gate.wait()
            self.send_info("caught up")
        if params == "early and crash":
            await self.subscribe()
            raise RuntimeError("asked to")
        return Ok()

    async def handle_info(self, message: Any) -> InfoResult:
        self.push(message, {})
        return None


async def test_broadcasts_during_a_join_that_has_subscribed_are_held_until_its_reply(start: Start, nodes: int) -> None:
    Early.subscribed, Early.gate = asyncio.Event(), asyncio.Event()
    hub = MemoryHub()
    endpoints = [await start(Early, hub=hub) for _ in range(nodes)]
    client = Client(endpoints[0])
    client.says("j1", "r1", "room:1", "phx_join", "early")
    await Early.subscribed.wait()
    endpoints[-1].broadcast("room:1", "news", 1)
    endpoints[-1].broadcast("room:1", "masked", 2)
    endpoints[-1].broadcast("room:1", "news", 3)
    assert client.take() == []
    Early.gate.set()
    frames = await client.gets(5)
    assert frames[0] == reply("r1")
    # Events without a callback are sent at once. Callbacks run in the order of their causes.
    assert [frame.payload for frame in frames if frame.event == "news"] == [1, 3]
    assert [frame.event for frame in frames if frame.event not in ("news", "phx_reply")] == ["caught up", "masked"]


async def test_a_join_that_subscribes_and_then_fails_is_unsubscribed(start: Start) -> None:
    client = Client(await start(Early))
    client.says("j1", "r1", "room:1", "phx_join", "early and crash")
    assert client.take() == [reply("r1", {"reason": "join crashed"}, "error")]
    assert len(client.endpoint.topics) == 0
    client.endpoint.broadcast("room:1", "news", 1)
    assert client.take() == []


@pytest.mark.parametrize("params", ["early", {}])
async def test_a_join_without_a_confirmed_subscription_is_answered_try_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, params: Any
) -> None:
    client = Client(await start(Early))
    subscribe = client.endpoint.broker.subscribe

    async def unconfirmed(topic: str) -> None:
        if topic == "room:1":
            raise TimeoutError
        await subscribe(topic)

    monkeypatch.setattr(client.endpoint.broker, "subscribe", unconfirmed)
    await client.joins("room:2")
    client.says("j1", "r1", "room:1", "phx_join", params)
    assert client.take() == [reply("r1", {"reason": "try again"}, "error")]
    assert list(client.endpoint.topics) == ["room:2"]


async def test_a_broadcast_follows_the_joins_reply_even_in_the_same_tick(start: Start) -> None:
    client = Client(await start(Room))
    client.says("j1", "r1", "room:1", "phx_join")
    client.endpoint.broadcast("room:1", "news", 1)
    assert client.take() == [reply("r1"), broadcast("news", 1)]


# Leaving


async def test_a_leave_that_follows_a_broadcast_closes_after_it(start: Start) -> None:
    client = Client(await start(Room))
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "shout", 1)
    client.says("j1", "r2", "room:1", "phx_leave")
    assert client.take() == [broadcast("shout", 1), reply("r1"), reply("r2"), closed()]
