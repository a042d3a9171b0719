"""Every reason for which this server refuses a connect, for both transports, as logs and metrics name it."""

from __future__ import annotations

from typing import Final

from shared.access.admission import BadToken, Banned, SessionEnded, UserGone

UNKNOWN_VERSION: Final = "unknown version"
"""The query's `vsn` names no version of the protocol that this server speaks."""
WRONG_SUBPROTOCOL: Final = "not the subprotocol phoenix"
NO_TOKEN: Final = "no token"
WRONG_ORIGIN: Final = "origin not allowed"
TOO_MANY_WEBSOCKETS: Final = "too many websockets"
"""The user has as many open WebSockets on this node as one user may have."""

REFUSALS: Final = (
    UNKNOWN_VERSION,
    WRONG_SUBPROTOCOL,
    NO_TOKEN,
    WRONG_ORIGIN,
    TOO_MANY_WEBSOCKETS,
    *(kind.reason for kind in (BadToken, UserGone, SessionEnded, Banned)),
)
