"""One broadcast for many clients. It is encoded once for each version, for any number of clients.

This module knows formats, not sockets. Phoenix calls this short cut from a broadcast to the wire the fastlane.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol.messages import Frame
from gateway.protocol.serializer import Serializer
from gateway.protocol.serializer_v2 import SERIALIZER as V2
from gateway.transports.frames import wire
from shared.events.envelope import Envelope, json_payload

_decode = msgspec.json.Decoder().decode


class Broadcast:
    """An event on a topic. The payload is encoded: JSON text, or binary data."""

    __slots__ = ("_frames", "_wires", "event", "is_binary", "payload", "topic")

    def __init__(self, topic: str, event: str, payload: bytes, is_binary: bool) -> None:
        self.topic = topic
        self.event = event
        self.payload = payload
        self.is_binary = is_binary
        self._frames: dict[str, Frame | None] = {}
        self._wires: dict[str, bytes | None] = {}

    @classmethod
    def of(cls, topic: str, event: str, payload: Any) -> Broadcast:
        """Encode a channel's payload: `bytes` are sent as binary, anything else as JSON.

        Raises ValueError if no frame can carry it, so that the error arises here and not on the nodes of the members.
        """
        if type(payload) is bytes:
            broadcast = cls(topic, event, payload, True)
            broadcast.frame(V2)
            return broadcast
        return cls(topic, event, json_payload(payload), False)

    @classmethod
    def from_envelope(cls, topic: str, envelope: Envelope) -> Broadcast:
        """Returns the broadcast of another node."""
        return cls(topic, envelope.event, envelope.payload, envelope.is_binary)

    def envelope(self, node: str) -> Envelope:
        """Returns the broadcast in the form for other nodes; `node` is the id of this one."""
        return Envelope(node, self.event, self.payload, self.is_binary)

    def value(self) -> Any:
        """Returns the decoded payload; a new value at each call, so that a channel may change it."""
        return self.payload if self.is_binary else _decode(self.payload)

    def frame(self, serializer: Serializer) -> Frame | None:
        """Returns the protocol's frame for this version; None if the version cannot carry the payload."""
        try:
            return self._frames[serializer.vsn]
        except KeyError:
            frame = serializer.broadcast(self.topic, self.event, self.payload, self.is_binary)
            self._frames[serializer.vsn] = frame
            return frame

    def wire(self, serializer: Serializer) -> bytes | None:
        """Returns the frame inside a WebSocket frame, for a socket; None if the version cannot carry the payload."""
        try:
            return self._wires[serializer.vsn]
        except KeyError:
            frame = self.frame(serializer)
            framed = self._wires[serializer.vsn] = None if frame is None else wire(frame)
            return framed
