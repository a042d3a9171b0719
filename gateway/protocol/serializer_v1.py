"""Version 1: JSON objects `{"topic", "event", "payload", "ref"}`. Pure.

A client may send `join_ref`; the server never does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol.json import decode_json, encode_json
from gateway.protocol.messages import PHX_REPLY, BadFrame, Frame, InvalidText, Message


class _Object(msgspec.Struct, gc=False):
    topic: Any
    event: Any
    payload: Any
    ref: Any
    join_ref: Any = None


_decoder = msgspec.json.Decoder(_Object)


class SerializerV1:
    """Version 1 cannot express a binary payload: `reply`, `push` and `broadcast` then return None."""

    vsn = "1.0.0"

    def decode_text(self, data: bytes) -> Message:
        frame: _Object = decode_json(_decoder, data)
        return Message(frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload)

    def decode_binary(self, data: bytes) -> Message:
        # Some clients send their text in binary frames.
        try:
            return self.decode_text(data)
        except InvalidText as error:
            raise BadFrame(str(error)) from None

    def reply(self, join_ref: Any, ref: Any, topic: Any, status: str, response: Any) -> Frame | None:
        if type(response) is bytes:
            return None
        payload = {"response": response, "status": status}
        return encode_json({"topic": topic, "event": PHX_REPLY, "payload": payload, "ref": ref})

    def push(self, join_ref: Any, ref: Any, topic: Any, event: str, payload: Any) -> Frame | None:
        if type(payload) is bytes:
            return None
        return encode_json({"topic": topic, "event": event, "payload": payload, "ref": ref})

    def broadcast(self, topic: str, event: str, payload: bytes, is_binary: bool) -> Frame | None:
        if is_binary:
            return None
        return b'{"topic":%b,"event":%b,"payload":%b,"ref":null}' % (encode_json(topic), encode_json(event), payload)


SERIALIZER = SerializerV1()
