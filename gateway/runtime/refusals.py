"""Every reason for which this server refuses a connect, for both transports, logs and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.access.admission import BadToken, Banned, SessionEnded, UserGone
from shared.security_events import SecurityEvent

UNKNOWN_VERSION: Final = "unknown version"
"""This server does not speak the version of the protocol in the query's `vsn`."""
WRONG_SUBPROTOCOL: Final = "not the subprotocol phoenix"
NO_TOKEN: Final = "no token"
WRONG_ORIGIN: Final = "origin not allowed"
TOO_MANY_WEBSOCKETS: Final = "too many websockets"
"""The user has as many open WebSockets on this node as one user may have."""
POSTGRES_AWAY: Final = "postgres away"
"""Nobody can say whether the token is still good. The client may try again."""

REASONS_OF_USERS: Final = (
    TOO_MANY_WEBSOCKETS,
    *(kind.reason for kind in (BadToken, UserGone, SessionEnded, Banned)),
)
"""The reasons that concern the user whom the token names: the log says who that is."""

REFUSALS: Final = (UNKNOWN_VERSION, WRONG_SUBPROTOCOL, NO_TOKEN, WRONG_ORIGIN, POSTGRES_AWAY, *REASONS_OF_USERS)

EVENTS: Final[Mapping[str, SecurityEvent]] = MappingProxyType(
    {Banned.reason: SecurityEvent.ACCESS_REFUSED, TOO_MANY_WEBSOCKETS: SecurityEvent.LIMITED}
)
"""The reasons that may be an attack, with their events. An expired token is an everyday thing, and not among them."""
