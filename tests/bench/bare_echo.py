"""The baseline of a push: a bare aiohttp server, with uvloop and msgspec, that replies to every frame."""

from __future__ import annotations

import msgspec
from aiohttp import WSMsgType, web

from tests.bench.bare_server import main

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


async def echo(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            join_ref, ref, topic, _, payload = _decode(message.data)
            reply = [join_ref, ref, topic, "phx_reply", {"response": payload, "status": "ok"}]
            try:
                await socket.send_str(_encode(reply).decode())
            except ConnectionError:
                break
    return socket


if __name__ == "__main__":
    main(web.get("/socket/websocket", echo))
