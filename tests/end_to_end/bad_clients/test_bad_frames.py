"""Clients that send malformed frames: each connection is closed with a code that says why."""

from __future__ import annotations

import asyncio

import pytest

from tests.end_to_end.bad_clients.bystanders import nobody_else_is_harmed
from tests.end_to_end.bad_clients.gateway import Gateway, next_frames, text
from tests.gateway.transports.raw_socket import BINARY, CONTINUATION, PING, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")
WRONG = {
    "empty": (frame(b""), 1011),
    "not json": (frame(b"nonsense"), 1011),
    "a number": (frame(b"1"), 1011),
    "too short": (frame(b'["1","1","t"]'), 1011),
    "an object": (frame(b'{"topic":"t","event":"e","payload":{},"ref":1}'), 1011),
    "binary of an unknown kind": (frame(b"\x09\x00\x00\x00\x00", BINARY), 1011),
    "binary cut short": (frame(b"\x00\xff\x01", BINARY), 1011),
    "not utf-8": (frame(b'["1","1","\xff","e",{}]'), 1007),
    "opcode": (frame(b"", 5), 1002),
    "reserved bits": (frame(b"[]", rsv=4), 1002),
    "ping in pieces": (frame(b"", PING, fin=False), 1002),
    "continuation without a start": (frame(b"[]", CONTINUATION), 1002),
    "too large": (frame(b"x" * (64 * 1024 + 1)), 1009),
    "nested deep": (frame(b"[" * 30_000 + b"]" * 30_000), 1011),
}


async def test_each_kind_of_wrong_frame_closes_its_connection_with_a_code(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)

    async def wrong(data: bytes, code: int) -> None:
        socket = await gateway.raw(token)
        # The frame before the wrong one is answered.
        socket.send(text(None, "1", "phoenix", "heartbeat", {}), data)
        assert (await next_frames(socket, 1))[0][4] == {"response": {}, "status": "ok"}
        assert await socket.close_code() == code
        await socket.close()

    async with nobody_else_is_harmed(gateway):
        for _ in range(5):
            await asyncio.gather(*(wrong(data, code) for data, code in WRONG.values()))
