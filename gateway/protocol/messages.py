"""The vocabulary of the protocol: a message as both serializers see it, and the server's own responses.

No I/O, no loop, no clock.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

PHX_JOIN: Final = "phx_join"
PHX_LEAVE: Final = "phx_leave"
PHX_REPLY: Final = "phx_reply"
PHX_CLOSE: Final = "phx_close"
PHX_ERROR: Final = "phx_error"
HEARTBEAT: Final = "heartbeat"
PHOENIX_TOPIC: Final = "phoenix"

OK: Final = "ok"
ERROR: Final = "error"

UNMATCHED_TOPIC: Final = {"reason": "unmatched topic"}
JOIN_CRASHED: Final = {"reason": "join crashed"}
TRY_AGAIN: Final = {"reason": "try again"}
CHANNEL_CRASH: Final = {"reason": "channel_crash"}
TOO_MANY_REQUESTS: Final = {"reason": "too many requests"}
TOO_MANY_CHANNELS: Final = {"reason": "too many channels joined"}


class Message(msgspec.Struct, array_like=True, gc=False):
    """A message from a client. The fields are in the order of a version 2 frame; elements after the fifth are ignored.

    A payload is any JSON value, or `bytes` if the frame was binary. Refs, topic and event may be any JSON value: a
    topic that is not a string matches no channel; refs are echoed unchanged.
    """

    join_ref: Any
    ref: Any
    topic: Any
    event: Any
    payload: Any


class Binary(bytes):
    """A frame that is sent as binary; a frame of plain `bytes` is sent as text."""

    __slots__ = ()


Frame = bytes
"""UTF-8 text, or `Binary`."""


class BadFrame(ValueError):
    """The client sent bytes that cannot be decoded: its connection is closed with 1011."""


class InvalidText(BadFrame):
    """The client sent a text frame that is not UTF-8: its connection is closed with 1007."""


class UnencodableReply(ValueError):
    """A payload or a ref that its frame cannot carry."""
