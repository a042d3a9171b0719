"""Tests every other end of a WebSocket: silence, a disconnect, an expired token, a drain, the client's own close."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.protocol.close_codes import BAD_FRAME, DISCONNECTED, INVALID_TEXT
from gateway.runtime.roster import FINISH_SECONDS
from shared.pubsub.memory import MemoryHub
from tests.gateway.counted import counted
from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import CLOSE, PING, PONG, TEXT, RawSocket, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY, joined, message
from tests.lab.tokens import token_of


async def test_a_client_that_sends_nothing_is_closed_with_1002_although_the_server_pushes(start_lab: StartLab) -> None:
    lab = await start_lab(idle_seconds=0.3)
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    pushes = 0
    while True:
        lab.endpoint.broadcast("lab:ok", "news", {})
        opcode, payload = await raw.receive()
        if opcode == CLOSE:
            break
        pushes += 1
        await asyncio.sleep(0.02)
    assert payload[:2] == (1002).to_bytes(2, "big")
    assert pushes


async def test_a_client_that_sends_anything_stays_connected(start_lab: StartLab) -> None:
    lab = await start_lab(idle_seconds=2.0)
    signs_of_life = {await lab.connect_raw(): sign for sign in (frame(b"", PING), frame(b"", PONG), frame(HEARTBEAT))}
    silent = await lab.connect_raw()
    while len(lab.endpoint.connections) > len(signs_of_life):
        for raw, sign in signs_of_life.items():
            raw.send(sign)
        await asyncio.sleep(0.05)
    assert await silent.close_code() == 1002
    assert len(lab.endpoint.connections) == len(signs_of_life)


async def test_a_disconnect_closes_a_users_sockets_with_1001_on_both_nodes(start_lab: StartLab) -> None:
    hub = MemoryHub()
    one, two = await start_lab(hub), await start_lab(hub)
    mine = [await one.connect_raw(7), await two.connect_raw(7), await two.connect_raw(7)]
    other = await two.connect_raw(8)
    await joined(mine[0], "lab:ok")
    mine[0].send(frame(message("j1", "r1", "lab:ok", "disconnect_me")))
    assert [await raw.close_code() for raw in mine] == [1001, 1001, 1001]
    other.send(frame(HEARTBEAT))
    assert await other.receive() == (TEXT, HEARTBEAT_REPLY)


async def test_a_token_that_expires_ends_its_connection_with_1001(lab: LabServer) -> None:
    raw = await RawSocket.connect(lab.port, f"/socket/websocket?vsn=2.0.0&token={token_of(seconds=1.5)}")
    assert await raw.close_code() == 1001
    await raw.close()


async def test_a_drain_closes_all_sockets_with_1012(start_lab: StartLab) -> None:
    lab = await start_lab(drain_seconds=0.05)
    raws = [await lab.connect_raw(number) for number in range(1, 26)]
    draining = asyncio.create_task(lab.endpoint.drain())
    assert {await raw.close_code() for raw in raws} == {1012}
    # The drain waits for the clients to go.
    for raw in raws:
        await raw.close()
    await draining


async def test_a_drain_waits_for_pending_replies(start_lab: StartLab) -> None:
    lab = await start_lab(drain_seconds=0.05)
    raw = await lab.connect_raw()
    raw.send(frame(message("j1", "r1", "lab:slow", "phx_join")), frame(HEARTBEAT))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    draining = asyncio.create_task(lab.endpoint.drain())
    assert json.loads((await raw.receive()).payload)[1] == "r1"
    assert await raw.close_code() == 1012
    await raw.close()
    await draining


async def test_a_drain_does_not_wait_for_clients_that_push_on_and_on(start_lab: StartLab) -> None:
    """Each push comes while the one before it is handled, so the channel always has something to do."""
    lab = await start_lab(drain_seconds=0.05)
    raws = [await lab.connect_raw(number) for number in range(1, 6)]

    async def push_on(raw: RawSocket) -> tuple[int, int]:
        """Returns how many pushes were sent and how many answered when the connection was closed."""
        await joined(raw, "lab:ok")
        sent, answered = 2, 0
        raw.send(*(frame(message("j1", f"{number}", "lab:ok", "slow_echo")) for number in range(sent)))
        while True:
            opcode, payload = await raw.receive()
            if opcode == CLOSE:
                assert payload[:2] == (1012).to_bytes(2)
                await raw.close()
                return sent, answered
            assert json.loads(payload)[1] == f"{answered}"
            answered += 1
            raw.send(frame(message("j1", f"{sent}", "lab:ok", "slow_echo")))
            sent += 1

    clients = [asyncio.create_task(push_on(raw)) for raw in raws]
    await lab.until(lambda: lab.endpoint.counts.frames_in >= 20)
    begin = asyncio.get_running_loop().time()
    await lab.endpoint.drain()
    assert asyncio.get_running_loop().time() - begin < FINISH_SECONDS - 1
    for sent, answered in await asyncio.gather(*clients):
        assert answered < sent


@pytest.mark.parametrize("payload", [b"", (1000).to_bytes(2, "big"), (4999).to_bytes(2, "big") + b"bye"])
async def test_a_clients_close_is_answered_and_ends_its_channels(lab: LabServer, payload: bytes) -> None:
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    raw.send(frame(payload, CLOSE))
    assert await raw.receive() == (CLOSE, payload[:2] or (1000).to_bytes(2))
    assert await raw.end() == b""
    await lab.until(lambda: not lab.endpoint.connections and not len(lab.endpoint.topics))


async def test_a_client_that_vanishes_ends_its_channels(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    await raw.close()
    await lab.until(lambda: not lab.endpoint.connections and not len(lab.endpoint.topics))


async def test_closes_by_the_server_are_counted_by_reason(lab: LabServer) -> None:
    bad, text, leaving = await lab.connect_raw(1), await lab.connect_raw(2), await lab.connect_raw(3)
    bad.send(frame(b"no frame"))
    assert await bad.close_code() == 1011
    text.send(frame(b"\xff"))
    assert await text.close_code() == 1007
    leaving.send(frame(b"\x03\xe8", CLOSE))
    assert await leaving.close_code() == 1000
    lab.endpoint.disconnect(4)
    gone = await lab.connect_raw(5)
    lab.endpoint.disconnect(5)
    lab.endpoint.disconnect(5)
    assert await gone.close_code() == 1001
    assert counted(lab.endpoint.counts.closes) == {BAD_FRAME.reason: 1, INVALID_TEXT.reason: 1, DISCONNECTED.reason: 1}
