"""Why this server closes connections, in one place, for both transports. Pure.

After every one of these codes phoenix.js connects again (RFC 6455, 7.4).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Close(NamedTuple):
    """What a client is told in a close frame; the reason alone tells two closes of one code apart."""

    code: int
    reason: str


TOKEN_EXPIRED: Final = Close(1001, "token expired")
DISCONNECTED: Final = Close(1001, "disconnected")
"""The user logged out, or was banned, a moment ago."""
NO_LONGER_WELCOME: Final = Close(1001, "no longer welcome")
"""The same, found out after a gap between the nodes."""
IDLE: Final = Close(1002, "idle")
"""Nothing was received for too long."""
NOT_POLLED: Final = Close(1002, "not polled")
"""A session of long polls was not polled for too long."""
NOT_JOINED: Final = Close(1002, "not joined")
"""A session of long polls that took the place of a lost one was not joined to anything."""
INVALID_TEXT: Final = Close(1007, "not UTF-8")
BAD_FRAME: Final = Close(1011, "bad frame")
"""The client sent bytes that cannot be decoded."""
DEEP_REFS: Final = Close(1011, "refs nested too deep")
"""The client sent refs nested so deep that no frame can carry them back."""
RESTARTING: Final = Close(1012, "restarting")
"""The node is on its way out."""
SLOW: Final = Close(1013, "too slow")
"""The client does not read."""
TOO_MANY_SESSIONS: Final = Close(1013, "too many sessions")
"""The user has opened more sessions of long polls since."""

CLOSES: Final[tuple[Close, ...]] = tuple(value for value in tuple(globals().values()) if isinstance(value, Close))
