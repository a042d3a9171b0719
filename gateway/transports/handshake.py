"""What both transports check before a connection begins: origin, version, and where the token is."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from gateway.protocol.serializer import Serializer, negotiate
from shared.access.origins import is_allowed
from shared.logs import log_of
from shared.refused_origins import RefusedOrigins
from shared.settings import Settings

_refused = RefusedOrigins(log_of(__name__))

SUBPROTOCOL = "phoenix"
TOKEN_SUBPROTOCOL_PREFIX = "base64url.bearer.phx."


def query_of(request: web.Request) -> dict[str, str]:
    """The query's parameters; of those that occur twice the last one, as in Phoenix."""
    return dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))


class Offer(NamedTuple):
    """What the client's subprotocols, where it offers any, come to."""

    is_good: bool
    token: str | None
    """Where phoenix.js puts its `authToken`; None where there is none, or more than one."""


_NOTHING_OFFERED = Offer(True, None)


def subprotocols_of(request: web.Request) -> Offer:
    """A client that offers any must offer `phoenix`: no other is spoken here, and a token alone is no protocol."""
    headers = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if headers is None:
        return _NOTHING_OFFERED
    offered = [protocol.strip() for header in headers for protocol in header.split(",")]
    tokens = [protocol for protocol in offered if protocol.startswith(TOKEN_SUBPROTOCOL_PREFIX)]
    token = _decoded(tokens[0].removeprefix(TOKEN_SUBPROTOCOL_PREFIX)) if len(tokens) == 1 else None
    return Offer(SUBPROTOCOL in offered, token)


def _decoded(encoded: str) -> str:
    """Base64 of either alphabet, padded or not; what is none of it is no token."""
    encoded = encoded.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def serializer_of(query: dict[str, str]) -> Serializer | None:
    """None where the version is refused."""
    return negotiate(query.get("vsn"))


def origin_is_allowed(request: web.Request, settings: Settings) -> bool:
    """Whether a page of this origin may connect. A client that is no page sends no origin, and may."""
    origin = request.headers.get(hdrs.ORIGIN)
    if is_allowed(origin, request.host, settings):
        return True
    _refused.tell(origin or "")
    return False
