"""JSON as frames carry it: numbers survive a round trip, whatever is no JSON is a bad frame. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol.messages import BadFrame, InvalidText, UnencodableReply

_encode = msgspec.json.Encoder().encode


def decode_json(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """Raises InvalidText for bytes that are not UTF-8, BadFrame for every other reason."""
    try:
        if not data.isascii():
            # The decoder passes over what the frame does not need without a look at its UTF-8.
            data.decode()
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        try:
            data.decode()
        except UnicodeDecodeError:
            raise InvalidText("not UTF-8") from None
        raise BadFrame(str(error)) from None


def encode_json(value: Any) -> bytes:
    """Raises UnencodableReply."""
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnencodableReply(str(error)) from error
