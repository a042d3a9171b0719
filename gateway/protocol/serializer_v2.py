"""Version 2: JSON arrays `[join_ref, ref, topic, event, payload]`, and binary frames around payloads of bytes. Pure.

A binary frame begins with a byte for its kind and a byte for the size of each of its strings; the strings and the data
follow. A client's push is kind 0 with join_ref, ref, topic and event. A server's push is kind 0 with join_ref, topic
and event, a reply kind 1 with join_ref, ref, topic and status, a broadcast kind 2 with topic and event.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol.json import decode_json, encode_json
from gateway.protocol.messages import PHX_REPLY, BadFrame, Binary, Frame, Message, UnencodableReply

PUSH, REPLY, BROADCAST = 0, 1, 2
_HEADER_BYTES = 5

_decoder = msgspec.json.Decoder(Message)
_decode = _decoder.decode


class SerializerV2:
    """The version of phoenix.js since 1.3."""

    vsn = "2.0.0"

    def decode_text(self, data: bytes) -> Message:
        try:
            if not data.isascii():
                data.decode()
            return _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # The slow way finds out whether the JSON or the UTF-8 is wrong.
            return decode_json(_decoder, data)  # type: ignore[no-any-return]

    def decode_binary(self, data: bytes) -> Message:
        if len(data) < _HEADER_BYTES or data[0] != PUSH:
            raise BadFrame("not a binary push")
        strings = []
        start = _HEADER_BYTES
        for size in data[1:_HEADER_BYTES]:
            strings.append(data[start : start + size])
            start += size
        if start > len(data):
            raise BadFrame("sizes beyond the end")
        try:
            join_ref, ref, topic, event = (string.decode() for string in strings)
        except UnicodeDecodeError:
            raise BadFrame("not UTF-8") from None
        return Message(join_ref, ref, topic, event, data[start:])

    def reply(self, join_ref: Any, ref: Any, topic: Any, status: str, response: Any) -> Frame | None:
        if type(response) is bytes:
            return _binary(REPLY, (_string(join_ref), _string(ref), topic, status), response)
        return encode_json((join_ref, ref, topic, PHX_REPLY, {"response": response, "status": status}))

    def push(self, join_ref: Any, ref: Any, topic: Any, event: str, payload: Any) -> Frame | None:
        if type(payload) is bytes:
            return _binary(PUSH, (_string(join_ref), topic, event), payload)
        return encode_json((join_ref, ref, topic, event, payload))

    def broadcast(self, topic: str, event: str, payload: bytes, is_binary: bool) -> Frame | None:
        if is_binary:
            return _binary(BROADCAST, (topic, event), payload)
        return b"[null,null,%b,%b,%b]" % (encode_json(topic), encode_json(event), payload)


def _string(ref: Any) -> str:
    """Returns the ref as a string for a binary frame; "" for null."""
    if ref is None:
        return ""
    return ref if type(ref) is str else str(ref)


def _binary(kind: int, strings: tuple[str, ...], data: bytes) -> Binary:
    encoded = [string.encode() for string in strings]
    sizes = [len(string) for string in encoded]
    if max(sizes) > 255:
        raise UnencodableReply("a binary frame has room for strings of 255 bytes")
    return Binary(b"".join((bytes((kind, *sizes)), *encoded, data)))


SERIALIZER = SerializerV2()
