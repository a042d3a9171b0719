"""Plays the cases of RFC 6455 over real sockets. The tables are those of the tests of the reader."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.protocol.close_codes import Close
from gateway.protocol.websocket_reader import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.gateway.counted import counted
from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import Frame, RawSocket, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY, joined
from tests.protocol.client_frames import read_v2_binary, v2_binary
from tests.protocol.test_websocket_reader import CASES, Seen, cut, fragments
from tests.protocol.websocket_frames import LIMIT, masked


def answers(seen: Seen) -> list[Frame]:
    """What the gateway answers to what its reader has seen. It understands no message of the tables but a heartbeat."""
    found: list[Frame] = []
    for event in seen:
        if isinstance(event, Close):
            return [*found, Frame(CLOSE, event.code.to_bytes(2) + event.reason.encode())]
        kind, payload = event
        if kind == TEXT and payload.rstrip() == HEARTBEAT:
            found.append(Frame(TEXT, HEARTBEAT_REPLY))
        elif kind in (TEXT, BINARY):
            return [*found, Frame(CLOSE, (1011).to_bytes(2) + b"bad frame")]
        elif kind == CLOSE:
            return [*found, Frame(CLOSE, payload[:2] or (1000).to_bytes(2))]
        elif kind == PING:
            found.append(Frame(PONG, payload))
    return found


@pytest.mark.parametrize("pause", [False, True], ids=["at once", "one after the other"])
async def test_every_case_of_the_rfc_is_answered_as_its_reader_says(start_lab: StartLab, pause: bool) -> None:
    lab = await start_lab(max_message_bytes=LIMIT)
    for name, (sent, seen) in CASES.items():
        raw = await lab.connect_raw()
        for part in sent if pause or len(sent) > 1 else [b"".join(sent)]:
            raw.send(part)
            if pause:
                await asyncio.sleep(0)
        expected = answers(seen)
        assert [await raw.receive() for _ in expected] == expected, name
        if expected and expected[-1].opcode == CLOSE:
            assert await raw.end() == b"", name
        await raw.close()
    await lab.until_quiet()


# Groups 1, 9 and 10: messages of each size, whole and in fragments, in large and in small pieces. The lab echoes them.

ECHO_SIZES = [0, 1, 100, 125, 126, 127, 128, 255, 256, 4096, 65_535, 65_536, 65_537, 1_000_000]
FRAGMENT_SIZES = [None, 64, 1300, 16_384]


@pytest.mark.parametrize("fragment_size", FRAGMENT_SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_messages_of_any_size_come_back_whole(
    start_lab: StartLab, opcode: int, fragment_size: int | None
) -> None:
    lab = await start_lab(rate_limits=False)
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    for size in ECHO_SIZES:
        if opcode == TEXT:
            payload = json.dumps(["j1", "r1", "lab:ok", "echo", {"text": "*" * size}]).encode()
            expected = {"response": {"text": "*" * size}, "status": "ok"}
        else:
            data = bytes(index * 7 % 256 for index in range(size))
            payload = v2_binary("j1", "r1", "lab:ok", "binary_echo", data)
        sent = fragments(opcode, payload, fragment_size or len(payload))
        for piece in cut(sent, 997 if size < 100_000 else 50_000):
            raw.send(piece)
            await asyncio.sleep(0)
        kind, answer = await raw.receive()
        assert kind == opcode
        if opcode == TEXT:
            assert json.loads(answer)[4] == expected, size
        else:
            assert read_v2_binary(answer) == ("reply", "j1", "r1", "lab:ok", "ok", data), size


BEFORE_AND_BEHIND = {
    "text": frame(HEARTBEAT, masked=False),
    "an empty text": frame(b"", masked=False),
    "binary": frame(HEARTBEAT, BINARY, masked=False),
    "a ping": frame(b"", PING, masked=False),
    "a pong": frame(b"", PONG, masked=False),
    "a continuation": frame(HEARTBEAT, CONTINUATION, masked=False),
    "a close": frame(b"\x03\xe8", CLOSE, masked=False),
    "a ping of 70,000 bytes": frame(b"x" * 70_000, PING),
    "a close with 1006": frame((1006).to_bytes(2), CLOSE),
    "a message in one whose first fragment is empty": frame(b"", fin=False) + frame(HEARTBEAT),
}


@pytest.mark.parametrize("bad", BEFORE_AND_BEHIND.values(), ids=BEFORE_AND_BEHIND.keys())
async def test_a_frame_before_a_forbidden_one_is_answered_and_the_close_is_counted(lab: LabServer, bad: bytes) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(HEARTBEAT), bad, frame(HEARTBEAT))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    assert await raw.close_code() == 1002
    assert counted(lab.endpoint.counts.closes) == {"protocol error": 1}


async def test_frames_with_any_mask_are_read(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    for mask in (b"\x01\x02\x03\x04", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01"):
        raw.send(bytes((0x81, 0x80 | len(HEARTBEAT))) + mask + masked(HEARTBEAT, mask))
        assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)


# The client's last byte


async def half_closed(raw: RawSocket, *frames: bytes) -> list[bytes]:
    """Send the frames and FIN at once. Return the payloads that come until the server ends the connection."""
    raw.send(*frames)
    raw.end_sending()
    found = []
    while True:
        try:
            found.append((await raw.receive()).payload)
        except asyncio.IncompleteReadError:
            return found


async def test_a_frame_with_a_fin_behind_it_is_answered(lab: LabServer) -> None:
    for _ in range(20):
        raw = await lab.connect_raw()
        assert await half_closed(raw, frame(HEARTBEAT)) == [HEARTBEAT_REPLY]
    await lab.until_quiet()


async def test_more_frames_than_are_read_in_a_turn_with_a_fin_behind_them_are_answered(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    assert await half_closed(raw, frame(HEARTBEAT) * 500) == [HEARTBEAT_REPLY] * 500
    await lab.until_quiet()


async def test_a_push_for_which_a_channel_waits_with_a_fin_behind_it_is_answered(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    found = await half_closed(
        raw, frame(b'["1","1","lab:slow","phx_join",{}]'), frame(b'["1","2","lab:slow","echo",{}]')
    )
    assert [payload[:9] for payload in found] == [b'["1","1",', b'["1","2",']
    await lab.until_quiet()


async def test_half_a_frame_with_a_fin_behind_it_ends_the_connection(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    assert await half_closed(raw, frame(HEARTBEAT)[:10]) == []
    await lab.until_quiet()


# Who sends is not idle


@pytest.mark.parametrize("kind", ["a frame byte by byte", "empty fragments"])
async def test_who_sends_is_not_idle_although_no_message_is_whole(start_lab: StartLab, kind: str) -> None:
    lab = await start_lab(idle_seconds=0.4)
    raw, silent = await lab.connect_raw(), await lab.connect_raw()
    whole = frame(HEARTBEAT)
    if kind == "a frame byte by byte":
        pieces = [whole[index : index + 1] for index in range(len(whole))]
    else:
        pieces = [frame(HEARTBEAT, fin=False), *[frame(b"", 0, fin=False)] * 30, frame(b"", 0)]
    for piece in pieces:
        raw.send(piece)
        await asyncio.sleep(0.05)
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    assert await silent.close_code() == 1002


# Fragments are counted as frames are


async def test_fragments_cost_their_sender_as_much_as_frames(start_lab: StartLab) -> None:
    lab = await start_lab(frames_per_second=0.0001, bytes_per_second=1, traffic_burst_seconds=100_000.0)
    raw, other = await lab.connect_raw(1), await lab.connect_raw(2)
    raw.send(frame(b"", fin=False) + frame(b"", 0, fin=False) * 1000 + frame(HEARTBEAT, 0))
    await lab.until(lambda: lab.endpoint.allowances.of(1).left < 0)
    other.send(frame(HEARTBEAT))
    assert await other.receive() == (TEXT, HEARTBEAT_REPLY)
    assert lab.endpoint.counts.frames_in == 1
