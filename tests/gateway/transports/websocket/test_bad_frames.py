"""Tests that a frame that is malformed or too large closes its connection with a code, and harms nobody else."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import BINARY, CLOSE, PING, TEXT, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY, joined, message

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


@pytest.mark.parametrize(
    ("bad", "code"),
    [(frame(b"hello"), 1011), (frame(b"\xff"), 1007), (frame(b"", 3), 1002)],
    ids=["1011", "1007", "1002"],
)
async def test_frames_before_a_bad_frame_are_answered_before_the_close(lab: LabServer, bad: bytes, code: int) -> None:
    raw = await lab.connect_raw()
    raw.send(frame(HEARTBEAT), bad, frame(HEARTBEAT))
    assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    assert await raw.close_code() == code


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


@pytest.mark.parametrize(
    ("bad", "code"), [(frame(b"x" * 200_000), 1009), (frame(b"", 3), 1002)], ids=["too large", "no frame"]
)
async def test_a_client_that_goes_on_sending_after_its_bad_frame_gets_the_code(
    start_lab: StartLab, bad: bytes, code: int
) -> None:
    lab = await start_lab(max_message_bytes=100_000)
    for _ in range(20):
        raw = await lab.connect_raw(1)
        raw.send(bad, *[frame(b"x" * 50_000)] * 20)
        # If the server reset the connection, the client would lose what it has not read yet.
        await asyncio.sleep(0.02)
        assert await raw.close_code() == code
        await raw.close()
