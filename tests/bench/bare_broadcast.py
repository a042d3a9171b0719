"""The baseline of a broadcast: a bare aiohttp server that writes each frame it gets to every socket."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import WSMsgType, web

from tests.bench.bare_server import main

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
_transports: set[asyncio.WriteTransport] = set()


async def write_to_all(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    transport = request.transport
    assert transport is not None
    _transports.add(transport)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            _, _, topic, _, payload = _decode(message.data)
            frame = _encode([None, None, topic, "shout", payload])
            framed = bytes((0x81, len(frame))) + frame
            for member in _transports:
                member.write(framed)
    _transports.discard(transport)
    return socket


if __name__ == "__main__":
    main(web.get("/socket/websocket", write_to_all))
