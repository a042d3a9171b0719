"""Every reason for which this server closes a connection, for both transports. Pure.

RFC 6455 (7.4) defines the codes. phoenix.js reconnects after each of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Close(NamedTuple):
    """The code and the reason of a close frame. Closes with the same code may have different reasons."""

    code: int
    reason: str


TOKEN_EXPIRED: Final = Close(1001, "token expired")
DISCONNECTED: Final = Close(1001, "disconnected")
"""The user has just logged out or been banned."""
NO_LONGER_WELCOME: Final = Close(1001, "no longer welcome")
"""The user has logged out or left. This node has asked Postgres, after a gap or a message about the user."""
BANNED: Final = Close(1001, "banned")
"""The user is banned or suspended. A log-in, or any request with the user's token, is told until when and why."""
IDLE: Final = Close(1002, "idle")
"""The client has sent nothing for too long."""
NOT_POLLED: Final = Close(1002, "not polled")
"""The client has not polled its long-poll session for too long."""
NOT_JOINED: Final = Close(1002, "not joined")
"""A long-poll session replaced a lost one, and the client joined nothing in it."""
PROTOCOL_ERROR: Final = Close(1002, "protocol error")
"""The client sent a frame that RFC 6455 forbids."""
INVALID_TEXT: Final = Close(1007, "not UTF-8")
TOO_MANY_CRASHES: Final = Close(1008, "too many crashes")
"""Channels of the connection have crashed too often."""
BAD_FRAME: Final = Close(1011, "bad frame")
"""The client sent bytes that cannot be decoded."""
DEEP_REFS: Final = Close(1011, "refs nested too deep")
"""The client sent refs nested so deep that no frame can carry them back."""
TOO_LARGE: Final = Close(1009, "too large")
"""The client began a message that is larger than `MAX_MESSAGE_BYTES`."""
RESTARTING: Final = Close(1012, "restarting")
"""The node is stopping."""
SLOW: Final = Close(1013, "too slow")
"""The client reads too slowly."""
TOO_MANY_SESSIONS: Final = Close(1013, "too many sessions")
"""The user has opened more long-poll sessions than one user may have."""

CLOSES: Final[tuple[Close, ...]] = tuple(value for value in tuple(globals().values()) if isinstance(value, Close))
