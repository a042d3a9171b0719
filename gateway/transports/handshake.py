"""What both transports check before a connection begins: origin, version, and where the token is."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from gateway.protocol.serializer import Serializer, negotiate
from shared.access.origins import is_allowed
from shared.settings import Settings

SUBPROTOCOL = "phoenix"
TOKEN_SUBPROTOCOL_PREFIX = "base64url.bearer.phx."


def query_of(request: web.Request) -> dict[str, str]:
    """The query's parameters; of those that occur twice the last one, as in Phoenix."""
    return dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))


def subprotocol_token(request: web.Request) -> str | None:
    """The token among the subprotocols that the client offers, where phoenix.js puts its `authToken`."""
    for header in request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ()):
        for protocol in header.split(","):
            encoded = protocol.strip()
            if encoded.startswith(TOKEN_SUBPROTOCOL_PREFIX):
                return _decoded(encoded[len(TOKEN_SUBPROTOCOL_PREFIX) :])
    return None


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
    return is_allowed(request.headers.get(hdrs.ORIGIN), request.host, settings)
