"""The echo on `websockets`, its asyncio server. Text stays bytes on both ways, which spares two conversions."""

from __future__ import annotations

import asyncio

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.bench.peers.command import main

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


async def echo(socket: ServerConnection) -> None:
    try:
        while True:
            join_ref, ref, topic, _, payload = _decode(await socket.recv(decode=False))
            reply = [join_ref, ref, topic, "phx_reply", {"response": payload, "status": "ok"}]
            await socket.send(_encode(reply), text=True)
    except ConnectionClosed:
        pass


async def listen(port: int) -> None:
    async with serve(echo, "127.0.0.1", port, compression=None, ping_interval=None, backlog=4096):
        await asyncio.Event().wait()


if __name__ == "__main__":
    main(listen)
