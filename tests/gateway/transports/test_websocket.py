"""Tests frames over a real WebSocket, and the codes with which connections are closed."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from typing import Any

import aiohttp
import pytest

from gateway.protocol.close_codes import BAD_FRAME, DISCONNECTED, INVALID_TEXT
from shared.pubsub.memory import MemoryHub
from tests.gateway.counted import counted
from tests.gateway.transports.conftest import LabServer, StartLab, token
from tests.gateway.transports.raw_socket import BINARY, CLOSE, PING, PONG, TEXT, RawSocket, frame

HEARTBEAT = b'[null,"h1","phoenix","heartbeat",{}]'
HEARTBEAT_REPLY = b'[null,"h1","phoenix","phx_reply",{"response":{},"status":"ok"}]'


def message(join_ref: Any, ref: Any, topic: str, event: str, payload: Any = None) -> bytes:
    return json.dumps([join_ref, ref, topic, event, {} if payload is None else payload]).encode()


async def joined(raw: RawSocket, topic: str, join_ref: str = "j1") -> None:
    raw.send(frame(message(join_ref, "join", topic, "phx_join")))
    _, answer = await raw.receive()
    assert json.loads(answer)[4]["status"] == "ok"


# Frames


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


# Closing: malformed frames

BAD_FRAMES = {
    "not json": (b"hello", TEXT),
    "empty": (b"", TEXT),
    "an array that is too short": (b'["1","1","t","e"]', TEXT),
    "an object on a version 2 socket": (b'{"topic":"t","event":"e","payload":{},"ref":1}', TEXT),
    "short binary": (b"\x00\x01", BINARY),
    "a binary kind that only servers send": (b"\x01\x00\x00\x00\x00", BINARY),
    "binary sizes beyond the end": (b"\x00\x09\x09\x09\x09", BINARY),
    "binary that is not utf-8": (b"\x00\x00\x00\x01\x00\xff", BINARY),
    "json in binary on a version 2 socket": (HEARTBEAT, BINARY),
}


@pytest.mark.parametrize(("payload", "opcode"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_malformed_frame_closes_with_1011(lab: LabServer, payload: bytes, opcode: int) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(payload, opcode))
    assert await raw.close_code() == 1011


@pytest.mark.parametrize("payload", [b'[null,"h1","phoenix","heartbeat",{},"\xff"]', b'["\xc3\x28",1,2,3,4]', b"\xff"])
async def test_invalid_utf8_in_text_closes_with_1007(lab: LabServer, payload: bytes) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(payload))
    assert await raw.close_code() == 1007


async def test_a_version_2_frame_closes_a_version_1_socket_with_1011(lab: LabServer) -> None:
    socket = await lab.connect(vsn="1.0.0")
    await socket.send_str(HEARTBEAT.decode())
    assert (await socket.receive()).data == 1011
    await socket.close()


PROTOCOL_ERRORS = {
    "opcode 3": frame(HEARTBEAT, 3),
    "opcode 11": frame(b"", 11),
    "opcode 15": frame(b"", 15),
    "RSV1 on text": frame(HEARTBEAT, rsv=4),
    "RSV2": frame(HEARTBEAT, rsv=2),
    "RSV3": frame(HEARTBEAT, rsv=1),
    "a fragmented ping": frame(b"", PING, fin=False),
    "a ping of 126 bytes": frame(b"x" * 126, PING),
    "a continuation of nothing": frame(HEARTBEAT, 0),
    "text within a fragmented message": frame(b"[", fin=False) + frame(HEARTBEAT),
    "a close of one byte": frame(b"\x03", CLOSE),
    "a close with an invalid code": frame((1005).to_bytes(2, "big"), CLOSE),
    "a close with 1006": frame((1006).to_bytes(2, "big"), CLOSE),
    "a text without a mask": frame(HEARTBEAT, masked=False),
    "a length that is longer than it need be": frame(HEARTBEAT)[:1] + b"\xfe\x00\x05" + bytes(4) + b"x" * 5,
}


@pytest.mark.parametrize("sent", PROTOCOL_ERRORS.values(), ids=PROTOCOL_ERRORS.keys())
async def test_a_violation_of_the_websocket_protocol_closes_with_1002(lab: LabServer, sent: bytes) -> None:
    raw = await lab.connect_raw()
    raw.send(sent)
    assert await raw.close_code() == 1002
    await lab.until(lambda: not lab.endpoint.connections)


@pytest.mark.parametrize("bad", [frame(b"hello"), frame(b"\xff"), frame(b"", 3)], ids=["1011", "1007", "1002"])
async def test_frames_before_a_bad_frame_are_answered_before_the_close(lab: LabServer, bad: bytes) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(HEARTBEAT), bad, frame(HEARTBEAT))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    assert await raw.close_code() in (1011, 1007, 1002)


async def test_nothing_is_sent_after_a_close(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    await joined(raw, "lab:ok")
    raw.send(frame(b"hello"), frame(HEARTBEAT))
    assert await raw.close_code() == 1011
    lab.endpoint.broadcast("lab:ok", "late", {})
    raw.send(frame((1011).to_bytes(2, "big"), CLOSE))
    assert await raw.end() == b""


async def test_a_bad_frame_is_logged_in_one_line_without_its_content(
    lab: LabServer, caplog: pytest.LogCaptureFixture
) -> None:
    raw = await lab.connect_raw()
    with caplog.at_level(logging.INFO):
        raw.send(frame(b"my secret"))
        assert await raw.close_code() == 1011
    (record,) = caplog.records
    assert "secret" not in str(vars(record))


async def test_a_bad_frame_does_not_affect_other_clients(lab: LabServer) -> None:
    bad, good = await lab.connect_raw(), await lab.connect_raw(2)
    await joined(good, "lab:ok")
    await joined(bad, "lab:ok")
    bad.send(frame(b"hello"))
    assert await bad.close_code() == 1011
    good.send(frame(message("j1", "r1", "lab:ok", "broadcast_reply")))
    assert json.loads((await good.receive()).payload)[3] == "shout"
    assert json.loads((await good.receive()).payload)[1] == "r1"


@pytest.mark.parametrize("where", ["ref", "join_ref", "payload"])
async def test_a_deeply_nested_frame_is_answered_or_closes_with_1011(
    lab: LabServer, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    # Within this range is a depth that can still be decoded, but whose answer cannot be encoded.
    for depth in range(880, 1020, 2):
        raw = await lab.connect_raw()
        nested = "[" * depth + "]" * depth
        names = {"join_ref": '"j1"', "ref": '"r1"', "payload": "{}", where: nested}
        refs, payload_sent = f"{names['join_ref']},{names['ref']}", names["payload"]
        raw.send(
            frame(f'[{refs},"lab:echo_params","phx_join",{payload_sent}]'.encode()),
            frame(f'[{refs},"lab:echo_params","echo",{payload_sent}]'.encode()),
            frame(f'[{refs},"phoenix","heartbeat",{payload_sent}]'.encode()),
        )
        for _ in range(3):
            opcode, payload = await raw.receive()
            if opcode == CLOSE:
                assert payload[:2] == (1011).to_bytes(2, "big")
                break
        await raw.close()
    await lab.until(lambda: not lab.endpoint.connections and not len(lab.endpoint.topics))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# Closing: sizes


async def test_a_message_of_the_largest_size_is_accepted(start_lab: StartLab) -> None:
    lab = await start_lab(max_message_bytes=1000)
    raw = await lab.connect_raw()
    text = HEARTBEAT[:-2] + b'"' + b"x" * (1000 - len(HEARTBEAT)) + b'"]'
    text = text.replace(b",{", b",").ljust(1000)
    assert len(text) == 1000
    raw.send(frame(text))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    raw.send(frame(text[:400], fin=False), frame(text[400:], 0))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)


@pytest.mark.parametrize(
    "sent",
    [
        frame(HEARTBEAT.ljust(1001)),
        frame(b"x" * 5_000, BINARY),
        frame(HEARTBEAT.ljust(600), fin=False) + frame(b" " * 401, 0),
        frame(b"")[:1] + b"\xff" + (2**62).to_bytes(8, "big"),
    ],
    ids=["one byte more", "binary", "fragments", "only the header"],
)
async def test_a_larger_message_closes_with_1009(start_lab: StartLab, sent: bytes) -> None:
    lab = await start_lab(max_message_bytes=1000)
    raw = await lab.connect_raw()
    raw.send(sent)
    assert await raw.close_code() == 1009


# Closing: idleness


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
    lab = await start_lab(idle_seconds=0.8)
    signs_of_life = {await lab.connect_raw(): sign for sign in (frame(b"", PING), frame(b"", PONG), frame(HEARTBEAT))}
    silent = await lab.connect_raw()
    for _ in range(36):
        for raw, sign in signs_of_life.items():
            raw.send(sign)
        await asyncio.sleep(0.05)
    assert len(lab.endpoint.connections) == len(signs_of_life)
    assert await silent.close_code() == 1002


# Closing: by the server, by the client


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
    raw = await RawSocket.connect(lab.port, f"/socket/websocket?vsn=2.0.0&token={token(seconds=1.5)}")
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


# Floods


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


# An allowance that a test cannot outlast: it gains a frame in some hours.
TEN_FRAMES = {"frames_per_second": 0.0001, "bytes_per_second": 1, "traffic_burst_seconds": 100_000.0}


@pytest.mark.parametrize("flood", ["many frames", "large frames", "binary frames", "pings"])
async def test_who_sends_too_much_is_not_read_and_others_are(start_lab: StartLab, flood: str) -> None:
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
    # Neither does another connection of the same user help.
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
    # The node reads again after the slow join. Only then it notices that the client is gone.
    while len(lab.endpoint.connections) == 2:
        lab.endpoint.broadcast("lab:ok", "news", {"n": 1})
        assert json.loads((await other.receive()).payload)[4] == {"n": 1}
    lab.endpoint.broadcast("lab:ok", "news", {"n": 2})
    assert json.loads((await other.receive()).payload)[4] == {"n": 2}


# Slow readers


async def test_a_client_that_reads_nothing_is_closed_and_delays_nobody(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=100_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    good = await lab.connect_raw(2)
    await joined(slow, "lab:ok")
    await joined(good, "lab:ok")
    sent = 0
    async with asyncio.timeout(20):
        while len(lab.endpoint.connections) == 2:
            lab.endpoint.broadcast("lab:ok", "news", {"n": sent, "fill": "x" * 20_000})
            sent += 1
            assert json.loads((await good.receive()).payload)[4]["n"] == sent - 1
    # The kernel buffers a few megabytes for a reader.
    assert sent * 20_000 < 20_000_000
    good.send(frame(HEARTBEAT))
    assert await good.receive() == (TEXT, HEARTBEAT_REPLY)
    assert len(lab.endpoint.topics) == 1


async def test_a_client_that_asks_for_large_replies_and_reads_nothing_is_closed(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=100_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    await joined(slow, "lab:ok")
    for _ in range(400):
        slow.send(frame(message("j1", "r1", "lab:ok", "big", {"n": 50_000})))
    await lab.until(lambda: not lab.endpoint.connections)


async def flooded(lab: LabServer, slow: RawSocket, bytes_waiting: int) -> int:
    """Broadcast until `bytes_waiting` bytes wait for a client that does not read; return the number of broadcasts."""
    (connection,) = lab.endpoint.connections
    sent = 0
    while connection.outbox_bytes < bytes_waiting and lab.endpoint.connections:
        lab.endpoint.broadcast("lab:ok", "news", {"n": sent, "fill": "x" * 20_000})
        sent += 1
        await asyncio.sleep(0)
    return sent


async def numbers_until_close(slow: RawSocket) -> tuple[list[int], int]:
    """Read up to the close; return the numbers of the broadcasts, and the code of the close."""
    numbers: list[int] = []
    while True:
        opcode, payload = await slow.receive()
        if opcode == CLOSE:
            return numbers, int.from_bytes(payload[:2], "big")
        numbers.append(json.loads(payload)[4]["n"])


async def test_a_slow_reader_past_its_limit_gets_the_earlier_frames_and_the_code(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=500_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    await joined(slow, "lab:ok")
    sent = await flooded(lab, slow, 10**9)
    assert not lab.endpoint.connections
    await asyncio.sleep(0.3)
    numbers, code = await numbers_until_close(slow)
    assert numbers == list(range(len(numbers)))
    assert sent - 2 <= len(numbers) <= sent
    assert code == 1013
    assert await slow.end() == b""


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "still sending"])
async def test_a_reader_half_a_second_behind_gets_all_frames_and_the_code_of_a_disconnect(
    start_lab: StartLab, talks: bool
) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000)
    slow = await lab.connect_raw(7, receive_buffer=4096)
    await joined(slow, "lab:ok")
    sent = await flooded(lab, slow, 1_000_000)
    lab.endpoint.disconnect(7)
    await lab.until(lambda: not len(lab.endpoint.topics))
    assert lab.endpoint.connections._leaving, "the connection must be kept until its bytes are read"
    for _ in range(10):
        if talks:
            slow.send(frame(HEARTBEAT), frame(b"x" * 10_000, BINARY))
        await asyncio.sleep(0.05)
    assert await numbers_until_close(slow) == (list(range(sent)), 1001)
    assert await slow.end() == b""


async def test_a_client_that_never_reads_its_close_is_cut_off(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000, close_seconds=0.4)
    slow = await lab.connect_raw(7, receive_buffer=4096)
    await joined(slow, "lab:ok")
    await flooded(lab, slow, 1_000_000)
    before = time.monotonic()
    lab.endpoint.disconnect(7)
    await lab.until(lambda: bool(lab.endpoint.connections._leaving))
    await lab.until(lambda: not lab.endpoint.connections._leaving)
    assert time.monotonic() - before > 0.3


async def test_bytes_waiting_for_closed_clients_count_in_the_shared_limit(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000, max_total_outbox_bytes=1_500_000, close_seconds=60.0)
    readers = [await lab.connect_raw(number, receive_buffer=4096) for number in range(1, 5)]
    for reader in readers:
        await joined(reader, "lab:ok")
    while min((one.outbox_bytes for one in lab.endpoint.connections), default=0) < 1_000_000:
        lab.endpoint.broadcast("lab:ok", "news", {"fill": "x" * 20_000})
        await asyncio.sleep(0)
    for number in range(1, 5):
        lab.endpoint.disconnect(number)
    await lab.until(lambda: sum(one.unread_bytes for one in lab.endpoint.connections._leaving) > 3_900_000)
    await lab.until(lambda: sum(one.unread_bytes for one in lab.endpoint.connections._leaving) <= 1_500_000)
    # The connections that were cut are removed a moment later.
    await lab.until(lambda: len(lab.endpoint.connections._leaving) <= 1)
    assert len(lab.endpoint.connections._leaving) == 1


async def test_a_drain_waits_for_slow_readers(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000, drain_seconds=0.05)
    slow = await lab.connect_raw(7, receive_buffer=4096)
    await joined(slow, "lab:ok")
    sent = await flooded(lab, slow, 1_000_000)
    draining = asyncio.create_task(lab.endpoint.drain())
    await lab.until(lambda: not lab.endpoint.connections)
    # It has closed all, and would be done in the next turns of the loop.
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    assert await numbers_until_close(slow) == (list(range(sent)), 1012)
    await slow.close()
    await draining


@pytest.mark.parametrize("bad", [frame(b"x" * 200_000), frame(b"", 3)], ids=["too large", "no frame"])
async def test_a_client_that_goes_on_sending_after_its_bad_frame_gets_the_code(start_lab: StartLab, bad: bytes) -> None:
    lab = await start_lab(max_message_bytes=100_000)
    for _ in range(20):
        raw = await lab.connect_raw(1)
        raw.send(bad, *[frame(b"x" * 50_000)] * 20)
        # If the server reset the connection, the client would lose what it has not read yet.
        await asyncio.sleep(0.02)
        assert await raw.close_code() in (1009, 1002)
        await raw.close()


async def test_a_slow_reader_within_its_limit_gets_everything(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=2_000_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    await joined(slow, "lab:ok")
    for number in range(50):
        lab.endpoint.broadcast("lab:ok", "news", {"n": number, "fill": "x" * 20_000})
    for number in range(50):
        assert json.loads((await slow.receive()).payload)[4]["n"] == number


# Too many


async def test_concurrent_websockets_of_a_user_past_the_limit_get_429(start_lab: StartLab) -> None:
    lab = await start_lab(max_websockets_per_user=3)
    sockets = await asyncio.gather(*(lab.connect_raw(7) for _ in range(10)))
    assert Counter(raw.head.split()[1] for raw in sockets) == {b"101": 3, b"429": 7}
    assert counted(lab.endpoint.counts.refused) == {"too many websockets": 7}
    others = await lab.connect(8)
    await others.close()


async def test_open_websockets_stay_at_the_limit_and_a_closed_one_makes_room(start_lab: StartLab) -> None:
    lab = await start_lab(max_websockets_per_user=2)
    first, second = await lab.connect_raw(7), await lab.connect_raw(7)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
        await lab.connect(7)
    for raw in (first, second):
        raw.send(frame(HEARTBEAT))
        assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    await first.close()
    await lab.until(lambda: len(lab.endpoint.connections) == 1)
    third = await lab.connect(7)
    await third.close()


async def test_long_polls_do_not_count_in_the_limit_of_websockets(start_lab: StartLab) -> None:
    lab = await start_lab(max_websockets_per_user=1)
    await lab.get(path="/../longpoll", vsn="2.0.0", token=token(7))
    assert len(lab.endpoint.connections) == 1
    socket = await lab.connect(7)
    await socket.close()


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
