"""The echo on Starlette, served by uvicorn with httptools and the fastest of its three protocols of WebSockets."""

from __future__ import annotations

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.bench.peers.command import main

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            join_ref, ref, topic, _, payload = _decode(await socket.receive_text())
            reply = [join_ref, ref, topic, "phx_reply", {"response": payload, "status": "ok"}]
            await socket.send_text(_encode(reply).decode())
    except WebSocketDisconnect:
        pass


async def serve(port: int) -> None:
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/socket/websocket", echo)]),
        port=port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        proxy_headers=False,
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=4096,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    main(serve)
