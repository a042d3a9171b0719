"""Reads the frames that a WebSocket client sends: bytes go in; messages, control frames and violations come out. Pure.

All of RFC 6455 that a server without extensions needs, and nothing that the RFC forbids. `feed` takes bytes as they
arrive, in pieces of any size; `next` returns what they mean, one frame at a time, so that the caller may stop between
any two.

Which first bytes of a frame are allowed depends on the state, and there are two: between messages, and within a
fragmented message. A first byte has the bit FIN, three reserved bits and the opcode:

    state              data frame, final   data frame, first part   continuation     last continuation   control frame
    between messages   the message         -> within a message      violation        violation           itself
    within a message   violation           violation                Fragment         -> between messages, itself
                                                                                     the message
"""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Callable
from typing import Final

from gateway.protocol.close_codes import INVALID_TEXT, PROTOCOL_ERROR, TOO_LARGE, Close

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
VIOLATION: Final = 0x10
"""No opcode, but what `next` returns once if the client has broken a rule; `violation` has the code."""

_FIN = 0x80
_CONTROLS = frozenset((_FIN | CLOSE, _FIN | PING, _FIN | PONG))
"""The first bytes of control frames, which cannot be fragmented (5.4)."""
_BETWEEN = _CONTROLS | {TEXT, BINARY, _FIN | TEXT, _FIN | BINARY}
_WITHIN = _CONTROLS | {CONTINUATION, _FIN | CONTINUATION}
_WHOLE_TEXT = _FIN | TEXT
_WHOLE_BINARY = _FIN | BINARY

_MOST_OF_A_CONTROL = 125
"""Bytes that a control frame may carry (5.5)."""

_GOOD_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""The codes below 3000 that a close frame may have (7.4.1, and IANA's registry of close codes)."""

Unmask = Callable[[bytes, bytearray], object]
"""Removes a mask of four bytes from a payload, in place. A compiled one is as fast as any for short payloads, and many
times faster for long ones."""


class WebSocketReader:
    """The frames of one connection, from its client.

    It keeps at most `max_message_bytes` of a message, and what it was last fed. After a violation or a close frame it
    ignores everything.
    """

    __slots__ = (
        "_allowed",
        "_at",
        "_buffer",
        "_first",
        "_is_over",
        "_kind",
        "_mask",
        "_max_message_bytes",
        "_message",
        "_missing",
        "_payload",
        "_room",
        "_undecoded",
        "_unmask",
        "violation",
    )

    def __init__(self, max_message_bytes: int, unmask: Unmask) -> None:
        self._max_message_bytes = max_message_bytes
        self._unmask = unmask
        self._allowed = _BETWEEN
        self._is_over = False
        """True after a violation or a close frame."""
        self._buffer = b""
        self._at = 0
        self._room = max_message_bytes
        """Bytes that the rest of the message may have."""
        self._payload: bytearray | None = None
        """The payload of a frame that has not arrived whole. `_first`, `_mask` and `_missing` belong to it."""
        self._message: bytearray | None = None
        """The fragments of a message so far. `_kind` and `_undecoded` belong to it."""
        self.violation: Close | None = None
        """The code and the reason with which to close the connection, after `next` has returned VIOLATION."""

    @property
    def has_bytes(self) -> bool:
        """True if `next` has not looked at all bytes yet, so that it may return something."""
        return self._at < len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes from the client. Call `next` until it returns None before the next call, to keep few bytes."""
        if self._is_over:
            return
        if self._at < len(self._buffer):
            data = self._buffer[self._at :] + data
        self._buffer = data
        self._at = 0

    def next(self) -> tuple[int, bytes] | None:
        """Returns the kind and the payload of the next frame; None if more bytes are needed.

        TEXT and BINARY come with the whole message. TEXT is valid UTF-8. CONTINUATION stands for a part of a message
        that is not whole yet, and its payload is empty. CLOSE comes with a payload that may be sent back. After
        VIOLATION, see `violation`.
        """
        if self._payload is not None:
            return self._rest_of_frame(self._payload)
        buffer, at = self._buffer, self._at
        have = len(buffer) - at
        if have < 2:
            return None
        first = buffer[at]
        # The bit above the length says that the frame is masked, as all frames of clients must be (5.1).
        size = buffer[at + 1] - 128
        if size < 0 or first not in self._allowed:
            return self._break(PROTOCOL_ERROR)
        start = at + 6
        if size > _MOST_OF_A_CONTROL:
            if first in _CONTROLS:
                return self._break(PROTOCOL_ERROR)
            bytes_of_size = 2 if size == 126 else 8
            start += bytes_of_size
            if have < 2 + bytes_of_size:
                return None
            size = int.from_bytes(buffer[at + 2 : at + 2 + bytes_of_size])
            # A length has its shortest form, and its highest bit is not set (5.2).
            if size < (126 if bytes_of_size == 2 else 65536) or size >> 63:
                return self._break(PROTOCOL_ERROR)
        if size > self._room and first not in _CONTROLS:
            return self._break(TOO_LARGE)
        end = start + size
        if end > len(buffer):
            if start <= len(buffer):
                self._first = first
                self._mask = buffer[start - 4 : start]
                self._missing = end - len(buffer)
                self._payload = bytearray(buffer[start:])
                self._buffer = b""
                self._at = 0
            return None
        self._at = end
        if size:
            masked = bytearray(buffer[start:end])
            self._unmask(buffer[start - 4 : start], masked)
            payload = bytes(masked)
        else:
            payload = b""
        if first == _WHOLE_TEXT:
            if payload.isascii() or _is_utf8(payload):
                return TEXT, payload
            return self._break(INVALID_TEXT)
        return self._frame(first, payload)

    def _rest_of_frame(self, payload: bytearray) -> tuple[int, bytes] | None:
        """Add what has arrived to the payload of a frame. A long payload is copied once, however small the pieces."""
        buffer, at = self._buffer, self._at
        end = at + self._missing
        if end > len(buffer):
            payload += buffer[at:]
            self._missing = end - len(buffer)
            self._buffer = b""
            self._at = 0
            return None
        payload += buffer[at:end]
        self._at = end
        self._payload = None
        self._unmask(self._mask, payload)
        return self._frame(self._first, bytes(payload))

    def _frame(self, first: int, payload: bytes) -> tuple[int, bytes]:
        if first in _CONTROLS:
            opcode = first & 0x0F
            return self._close(payload) if opcode == CLOSE else (opcode, payload)
        if first == _WHOLE_TEXT:
            return (TEXT, payload) if _is_utf8(payload) else self._break(INVALID_TEXT)
        if first == _WHOLE_BINARY:
            return BINARY, payload
        return self._fragment(first, payload)

    def _fragment(self, first: int, payload: bytes) -> tuple[int, bytes]:
        message = self._message
        if message is None:
            message = self._message = bytearray()
            self._kind = first & 0x0F
            self._undecoded = b""
            self._allowed = _WITHIN
        message += payload
        self._room -= len(payload)
        is_last = bool(first & _FIN)
        if self._kind == TEXT and not self._is_text_so_far(payload, is_last):
            return self._break(INVALID_TEXT)
        if not is_last:
            return CONTINUATION, b""
        self._message = None
        self._allowed = _BETWEEN
        self._room = self._max_message_bytes
        return self._kind, bytes(message)

    def _is_text_so_far(self, payload: bytes, is_last: bool) -> bool:
        """Check the UTF-8 of a fragment. A character may begin in one fragment and end in another (5.6)."""
        if not self._undecoded and payload.isascii():
            return True
        text = self._undecoded + payload
        try:
            _, decoded = utf_8_decode(text, "strict", is_last)
        except UnicodeDecodeError:
            return False
        self._undecoded = text[decoded:]
        return True

    def _close(self, payload: bytes) -> tuple[int, bytes]:
        """A close frame has no code, or a code that may be sent (7.4) and a reason in UTF-8 (5.5.1)."""
        if payload:
            code = int.from_bytes(payload[:2])
            if len(payload) < 2 or not (code in _GOOD_CODES or 3000 <= code < 5000):
                return self._break(PROTOCOL_ERROR)
            if not _is_utf8(payload[2:]):
                return self._break(INVALID_TEXT)
        self._end()
        return CLOSE, payload

    def _break(self, violation: Close) -> tuple[int, bytes]:
        self.violation = violation
        self._end()
        return VIOLATION, b""

    def _end(self) -> None:
        """Let go of all bytes, and keep no more."""
        self._is_over = True
        self._buffer = b""
        self._at = 0
        self._message = None


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
