"""The codes that connections are closed with, in one place, for both transports. Pure. After every one of them
phoenix.js connects again (RFC 6455, 7.4)."""

from __future__ import annotations

from typing import Final

GOING_AWAY: Final = 1001
"""The user logged out or was banned, or the token has expired."""
IDLE: Final = 1002
"""Nothing was received for too long; a session of long polls was not polled."""
INVALID_TEXT: Final = 1007
"""A text frame that is not UTF-8."""
BAD_FRAME: Final = 1011
"""What the client sent is no frame, or cannot be answered in one."""
SERVICE_RESTART: Final = 1012
"""The node is on its way out."""
TRY_AGAIN_LATER: Final = 1013
"""The client does not read, or is one of too many."""
