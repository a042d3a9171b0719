"""A node drops and counts what somebody without the key publishes on the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.channel import Channel, JoinResult, Ok
from gateway.presence.state import Change, Entry
from gateway.presence.wire import pack_change
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.node_calls import CALL, NodeCalls
from shared.access.seal import TAG_BYTES, Seal
from shared.domain.users import Role
from shared.events import control, topics
from shared.events.envelope import SEALED_FOR, Envelope, json_payload, pack
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.gateway.counted import counted
from tests.gateway.nodes import Client, actor, broadcast, start_node

SECRET = "a secret of this service, which others lack"


class Room(Channel):
    tracks_presence = True

    async def join(self, topic: str, params: object) -> JoinResult:
        return Ok()


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub()


@pytest.fixture
async def node(hub: MemoryHub) -> AsyncIterator[Endpoint]:
    endpoint = await start_node({"room:*": Room}, hub, Settings(jwt_secrets=(SECRET,)))
    yield endpoint
    await endpoint.stop()


def packed(event: str, payload: object, *, node_id: str = "another node", is_binary: bool = False) -> bytes:
    return pack(Envelope(node_id, event, payload if isinstance(payload, bytes) else json_payload(payload), is_binary))


def entered(name: str) -> bytes:
    return pack_change(Change(1, 0, (Entry(name, {"phx_ref": "r"}),)))


FORGED = [
    (control.CONTROL, packed(control.DISCONNECT, control.disconnect(1))),
    (control.CONTROL, packed(control.ROLE_CHANGED, control.role_changed(1, Role.ADMIN))),
    (control.CONTROL, packed(control.CATCH_UP, control.catch_up(1e9))),
    ("room:1", packed("send", {"id": 1, "from": "2", "message": "from an admin"})),
    ("room:1", packed("presence_diff", entered("mallory"))),
    ("room:1", b""),
    ("room:1", b"\xff" * 100),
]


def seals(topic: str, text: bytes) -> list[bytes]:
    """Returns the text without a seal, and with each wrong seal that somebody without the key can put there."""
    other_secret = Seal.of(Settings(jwt_secrets=("another secret, of another service altogether",)), SEALED_FOR)
    other_service = Seal.of(Settings(jwt_secrets=(SECRET,), redis_prefix="other:"), SEALED_FOR)
    genuine = Seal.of(Settings(jwt_secrets=(SECRET,)), SEALED_FOR)
    other_purpose = Seal.of(Settings(jwt_secrets=(SECRET,)), "presence")
    changed = bytearray(genuine.sealed(topic, text))
    changed[-1] ^= 1
    return [
        text, text + bytes(TAG_BYTES), bytes(changed), genuine.sealed(topic, text)[:-1], genuine.sealed("room:2", text),
        genuine.sealed(topic, text + b" ")[:-TAG_BYTES] + genuine.sealed(topic, text)[-TAG_BYTES:],
        other_secret.sealed(topic, text), other_service.sealed(topic, text), other_purpose.sealed(topic, text),
    ]  # fmt: skip


async def test_a_message_that_this_service_has_not_sealed_changes_nothing_and_is_counted(
    node: Endpoint, hub: MemoryHub
) -> None:
    client = Client(node, actor(1))
    await client.joins("room:1")
    stranger = MemoryBroker(hub)
    gaps: list[float] = []
    node.on_gap(gaps.append)
    published = [(topic, data) for topic, text in FORGED for data in seals(topic, text)]
    for topic, data in published:
        stranger.publish(topic, data)
    assert (client.take(), client.close_code, client.actor.role, gaps) == ([], None, Role.USER, [])
    assert node.presence.list("room:1") == {}
    assert node.counts.received == 0
    assert counted(node.counts.forged) == {"": len(published)}


async def test_a_forged_call_of_a_node_is_not_answered(node: Endpoint, hub: MemoryHub) -> None:
    called: list[bytes] = []

    async def method(argument: bytes) -> bytes:
        called.append(argument)
        return argument

    calls = NodeCalls(node)
    calls.serve("steal", method)
    calls.serve_cast("note", called.append)
    await calls.start()
    topic = topics.node(node.node_id)
    for text in (msgspec.msgpack.encode(("steal", b"x", 1)), msgspec.msgpack.encode(("note", b"x"))):
        for data in seals(topic, packed(CALL, text, is_binary=True)):
            MemoryBroker(hub).publish(topic, data)
    assert called == []
    await calls.stop()


async def test_a_forged_message_in_the_name_of_the_node_itself_is_dropped_too(node: Endpoint, hub: MemoryHub) -> None:
    client = Client(node, actor(1))
    await client.joins("room:1")
    measured: list[float] = []
    node.on_probe(measured.append)
    stranger = MemoryBroker(hub)
    for topic, event, payload in (("room:1", "send", {"id": 1}), (control.CONTROL, "probe", -1e9)):
        for data in seals(topic, packed(event, payload, node_id=node.node_id)):
            stranger.publish(topic, data)
    assert (client.take(), measured) == ([], [])


async def test_nodes_with_the_same_secret_hear_each_other(node: Endpoint, hub: MemoryHub) -> None:
    other = await start_node({"room:*": Room}, hub, Settings(jwt_secrets=(SECRET,)))
    client = Client(other)
    await client.joins("room:1")
    node.broadcast("room:1", "news", {"n": 1})
    assert client.take() == [broadcast("news", {"n": 1})]
    assert counted(other.counts.forged) == {}
    await other.stop()
