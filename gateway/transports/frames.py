"""Puts a protocol frame into a WebSocket frame of a server: unmasked, final, text or binary (RFC 6455, 5.2). Pure."""

from __future__ import annotations

from gateway.protocol.messages import Binary, Frame

_TEXT, _BINARY, _CLOSE, _PONG = 0x81, 0x82, 0x88, 0x8A
_MOST_OF_A_REASON = 123
_SHORT_TEXT = tuple(bytes((_TEXT, size)) for size in range(126))


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """Returns the last WebSocket frame of a connection (RFC 6455, 5.5.1). Cuts a reason after 123 bytes."""
    payload = code.to_bytes(2) + reason[:_MOST_OF_A_REASON]
    return bytes((_CLOSE, len(payload))) + payload


def pong_frame(payload: bytes) -> bytes:
    """Returns the answer to a ping (RFC 6455, 5.5.3). Its payload has at most 125 bytes."""
    return bytes((_PONG, len(payload))) + payload


def wire(frame: Frame) -> bytes:
    """Returns the WebSocket frame as bytes for the socket."""
    size = len(frame)
    if type(frame) is bytes:
        if size < 126:
            return _SHORT_TEXT[size] + frame
        opcode = _TEXT
    else:
        assert type(frame) is Binary
        opcode = _BINARY
    if size < 126:
        return bytes((opcode, size)) + frame
    if size < 65536:
        return bytes((opcode, 126, size >> 8, size & 255)) + frame
    return bytes((opcode, 127)) + size.to_bytes(8) + frame
