"""The echo on picows, its core API: compiled code calls the listener with each frame, without a task or a queue.

A listener gets single frames: to join fragments would be its own work, which is left out here.
"""

from __future__ import annotations

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from tests.bench.peers.command import main

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


class Echo(WSListener):  # type: ignore[misc]  # mypy runs without picows
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            join_ref, ref, topic, _, payload = _decode(frame.get_payload_as_memoryview())
            reply = [join_ref, ref, topic, "phx_reply", {"response": payload, "status": "ok"}]
            transport.send(WSMsgType.TEXT, _encode(reply))
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


async def serve(port: int) -> None:
    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    main(serve)
