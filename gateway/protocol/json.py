"""JSON in frames: numbers survive a round trip, and bytes that are not JSON are a bad frame. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol.messages import BadFrame, InvalidText, UnencodableReply

_encode = msgspec.json.Encoder().encode


def decode_json(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """Returns the decoded value. Raises InvalidText if the bytes are not UTF-8, BadFrame if they are not JSON."""
    try:
        if not data.isascii():
            # The decoder does not check the UTF-8 of values that it skips.
            data.decode()
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        try:
            data.decode()
        except UnicodeDecodeError:
            raise InvalidText("not UTF-8") from None
        raise BadFrame(str(error)) from None


def encode_json(value: Any) -> bytes:
    """Returns the value as JSON in UTF-8. Raises UnencodableReply if JSON cannot express it."""
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnencodableReply(str(error)) from error
