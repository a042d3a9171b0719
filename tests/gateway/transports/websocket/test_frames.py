"""Tests that the frames of a WebSocket are answered, whole and in their order."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.transports.conftest import LabServer
from tests.gateway.transports.raw_socket import BINARY, CLOSE, PING, PONG, TEXT, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY, joined, message


async def test_frames_sent_together_are_all_answered_in_order(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    raw.send(
        frame(message("j1", "r1", "lab:ok", "phx_join")),
        frame(message("j1", "r2", "lab:ok", "echo")),
        frame(message("j1", "r3", "lab:ok", "phx_leave")),
        frame(message("j2", "r4", "lab:ok", "phx_join")),
        frame(HEARTBEAT),
    )
    answers = [json.loads((await raw.receive()).payload) for _ in range(6)]
    assert [answer[1] for answer in answers] == ["r1", "r2", "r3", "j1", "r4", "h1"]
    assert answers[3][3] == "phx_close"


async def test_a_message_may_come_in_fragments_with_a_ping_between(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    raw.send(
        frame(HEARTBEAT[:10], fin=False),
        frame(b"now", PING),
        frame(HEARTBEAT[10:20], 0, fin=False),
        frame(HEARTBEAT[20:], 0),
    )
    assert await raw.receive() == (PONG, b"now")
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)


async def test_pings_and_closes_are_not_counted_as_frames(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(b"", PING), frame(b"", PONG), frame(HEARTBEAT))
    await raw.receive()
    await raw.receive()
    raw.send(frame(b"\x03\xe8", CLOSE))
    assert await raw.close_code() == 1000
    await lab.until_quiet()
    assert (lab.endpoint.counts.frames_in, lab.endpoint.counts.frames_out) == (1, 1)


async def test_a_message_may_come_byte_by_byte(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    for byte in frame(HEARTBEAT):
        raw.send(bytes((byte,)))
        await asyncio.sleep(0)
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)


@pytest.mark.parametrize("size", [0, 100, 125, 126, 65_535, 65_536, 200_000])
async def test_answers_of_any_size_arrive_whole(lab: LabServer, size: int) -> None:
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    raw.send(frame(message("j1", "r1", "lab:ok", "big", {"n": size})))
    assert json.loads((await raw.receive()).payload)[4]["response"] == {"data": "x" * size}


@pytest.mark.parametrize("size", [0, 100, 126, 65_536])
async def test_binary_goes_both_ways(lab: LabServer, size: int) -> None:
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    names = b"j1" + b"r1" + b"lab:ok" + b"binary_echo"
    data = bytes(range(256)) * (size // 256 + 1)
    raw.send(frame(b"\x00\x02\x02\x06\x0b" + names + data[:size], BINARY))
    assert await raw.receive() == (BINARY, b"\x01\x02\x02\x06\x02j1r1lab:okok" + data[:size])


async def test_a_ping_is_answered_after_the_frames_before_it(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(HEARTBEAT), frame(b"p", PING))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    assert await raw.receive() == (PONG, b"p")


async def test_an_unexpected_pong_is_ignored(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(b"", PONG), frame(HEARTBEAT))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)


async def test_a_slow_join_delays_neither_heartbeats_nor_other_channels(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    raw.send(
        frame(message("j1", "r1", "lab:slow", "phx_join")),
        frame(message("j1", "r2", "lab:slow", "echo")),
        frame(message("j2", "r3", "lab:ok", "phx_join")),
        frame(HEARTBEAT),
    )
    answers = [json.loads((await raw.receive()).payload) for _ in range(4)]
    assert [answer[1] for answer in answers] == ["r3", "h1", "r1", "r2"]


@pytest.mark.parametrize(
    "spelled", ["01", "1 ", " 1", "+1", "1.0", "\uff11", "\u0661", "1_0", "1e0", "0x1", "", "0", "-1"]
)
async def test_an_id_in_a_topic_has_one_spelling(lab: LabServer, spelled: str) -> None:
    raw = await lab.connect_raw(1)
    raw.send(frame(message("j1", "r1", f"private_chat:{spelled}", "phx_join")))
    answer = json.loads((await raw.receive()).payload)
    assert answer[4] == {"status": "error", "response": {"reason": "user not found"}}
    raw.send(frame(message("j1", "r2", "private_chat:1", "phx_join")))
    assert json.loads((await raw.receive()).payload)[4]["status"] == "ok"
