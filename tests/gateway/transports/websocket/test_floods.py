"""Tests clients that send more than may be handled: they are read more slowly, and nobody else is."""

from __future__ import annotations

import json

import pytest

from tests.gateway.transports.conftest import StartLab
from tests.gateway.transports.raw_socket import BINARY, PING, TEXT, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY, joined, message


async def test_messages_for_a_busy_channel_are_read_no_faster_than_they_are_handled(start_lab: StartLab) -> None:
    lab = await start_lab(max_backlog_messages=10)
    flooding, other = await lab.connect_raw(1), await lab.connect_raw(2)
    flooding.send(
        frame(message("j1", "join", "lab:slow", "phx_join")),
        *(frame(message("j1", number, "lab:slow", "echo")) for number in range(200)),
    )
    await lab.until(lambda: any(connection.backlog >= 10 for connection in lab.endpoint.connections))
    assert max(connection.backlog for connection in lab.endpoint.connections) == 10
    other.send(frame(HEARTBEAT))
    assert await other.receive() == (TEXT, HEARTBEAT_REPLY)
    refs = [json.loads((await flooding.receive()).payload)[1] for _ in range(201)]
    assert refs == ["join", *range(200)]


# An allowance that does not grow during a test: it gains one frame in some hours.
TEN_FRAMES = {"frames_per_second": 0.0001, "bytes_per_second": 1, "traffic_burst_seconds": 100_000.0}


@pytest.mark.parametrize("flood", ["many frames", "large frames", "binary frames", "pings"])
async def test_a_user_who_sends_too_much_is_not_read_and_others_are(start_lab: StartLab, flood: str) -> None:
    size = 30_000
    sent = {
        "many frames": [frame(HEARTBEAT)] * 20,
        "large frames": [frame(message("j1", "r", "nothing:1", "event", {"text": "x" * size}))] * 20,
        "binary frames": [frame(bytes([0, 0, 1, 5, 5]) + b"rphoenxevent" + b"x" * size, opcode=BINARY)] * 20,
        "pings": [frame(b"x", opcode=PING)] * 20,
    }[flood]
    lab = await start_lab(**TEN_FRAMES)
    flooding, again, other = await lab.connect_raw(1), await lab.connect_raw(1), await lab.connect_raw(2)
    flooding.send(*sent)
    await lab.until(lambda: lab.endpoint.allowances.of(1).left < 0)
    before = lab.endpoint.counts.frames_in
    # Another connection of the same user does not help.
    again.send(frame(HEARTBEAT))
    for _ in range(5):
        other.send(frame(HEARTBEAT))
        assert await other.receive() == (TEXT, HEARTBEAT_REPLY)
    # At most one frame was read with an empty allowance on each connection.
    assert lab.endpoint.counts.frames_in <= before + 5 + 1
    assert lab.endpoint.counts.frames_in <= 11 + 1 + 5


async def test_a_user_who_waits_is_read_again_and_loses_nothing(start_lab: StartLab) -> None:
    lab = await start_lab(frames_per_second=200.0, traffic_burst_seconds=0.05)
    client = await lab.connect_raw()
    await joined(client, "lab:ok")
    client.send(*(frame(message("j1", number, "lab:ok", "echo")) for number in range(100)))
    assert [json.loads((await client.receive()).payload)[1] for _ in range(100)] == [*range(100)]


async def test_without_rate_limits_nobody_is_kept_waiting(start_lab: StartLab) -> None:
    lab = await start_lab(**TEN_FRAMES, rate_limits=False)
    client = await lab.connect_raw()
    await joined(client, "lab:ok")
    client.send(*(frame(message("j1", number, "lab:ok", "echo")) for number in range(100)))
    assert [json.loads((await client.receive()).payload)[1] for _ in range(100)] == [*range(100)]


async def test_a_client_that_vanishes_during_its_flood_takes_no_broadcast_from_others(start_lab: StartLab) -> None:
    lab = await start_lab(max_backlog_messages=10)
    flooding, other = await lab.connect_raw(1), await lab.connect_raw(2)
    await joined(flooding, "lab:ok")
    await joined(other, "lab:ok")
    flooding.send(
        frame(message("j2", "join", "lab:slow", "phx_join")),
        *(frame(message("j2", number, "lab:slow", "echo")) for number in range(20)),
    )
    await lab.until(lambda: any(connection.backlog >= 10 for connection in lab.endpoint.connections))
    await flooding.close()
    # The node reads again after the slow join, and only then notices that the client is gone.
    while len(lab.endpoint.connections) == 2:
        lab.endpoint.broadcast("lab:ok", "news", {"n": 1})
        assert json.loads((await other.receive()).payload)[4] == {"n": 1}
    lab.endpoint.broadcast("lab:ok", "news", {"n": 2})
    assert json.loads((await other.receive()).payload)[4] == {"n": 2}
