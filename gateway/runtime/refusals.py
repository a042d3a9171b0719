"""Every reason for which this server refuses a connect, for both transports, logs and metrics."""

from __future__ import annotations

from typing import Final

from shared.access.admission import BadToken, Banned, SessionEnded, UserGone

UNKNOWN_VERSION: Final = "unknown version"
"""This server does not speak the version of the protocol in the query's `vsn`."""
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
