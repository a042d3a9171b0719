"""The words of the protocol: a message as both serializers see it, and the payloads that every server sends.

Pure: no I/O, no loop, no clock.
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
    """What a client sent. Its order of fields is that of a version 2 frame; elements after the fifth are ignored.

    A payload is any JSON value, or `bytes` where the frame was binary. Refs, topic and event are whatever came: a
    topic that is no string matches no channel, refs are echoed as they are.
    """

    join_ref: Any
    ref: Any
    topic: Any
    event: Any
    payload: Any


class Binary(bytes):
    """A frame for the wire that goes out as binary; a frame that is plain `bytes` goes out as text."""

    __slots__ = ()


Frame = bytes
"""UTF-8 text, or `Binary`."""


class BadFrame(ValueError):
    """The client sent what is no frame: its connection is closed with 1011."""


class InvalidText(BadFrame):
    """A text frame that is not UTF-8: its connection is closed with 1007."""


class UnencodableReply(ValueError):
    """The server's own payload or refs do not fit the frame that they should travel in."""
