"""The frames that the tests of WebSockets send, and the answer to a heartbeat."""

from __future__ import annotations

import json
from typing import Any

from tests.gateway.transports.raw_socket import RawSocket, frame

HEARTBEAT = b'[null,"h1","phoenix","heartbeat",{}]'
HEARTBEAT_REPLY = b'[null,"h1","phoenix","phx_reply",{"response":{},"status":"ok"}]'


def message(join_ref: Any, ref: Any, topic: str, event: str, payload: Any = None) -> bytes:
    return json.dumps([join_ref, ref, topic, event, {} if payload is None else payload]).encode()


async def joined(raw: RawSocket, topic: str, join_ref: str = "j1") -> None:
    raw.send(frame(message(join_ref, "join", topic, "phx_join")))
    _, answer = await raw.receive()
    assert json.loads(answer)[4]["status"] == "ok"
