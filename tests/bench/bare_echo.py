"""The baseline of a push: a bare aiohttp server, with uvloop and msgspec, that replies to every frame."""

from __future__ import annotations

import argparse
import asyncio

import msgspec
import uvloop
from aiohttp import WSMsgType, web

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


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_get("/socket/websocket", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
