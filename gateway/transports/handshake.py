"""What both transports check before a connection begins: origin, version, and where the token is."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, urlsplit

from aiohttp import hdrs, web

from gateway.protocol.serializer import Serializer, negotiate
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
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return True
    if not settings.allowed_origins:
        return not settings.is_production or _same_host(origin, request.host)
    return any(_matches(origin, allowed) for allowed in settings.allowed_origins)


def _same_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"{parts.scheme}://{host}")
        return parts.hostname is not None and parts.hostname == own.hostname
    except ValueError:
        return False


def _matches(origin: str, allowed: str) -> bool:
    """`https://example.com` exactly, `https://*.example.com` for its subdomains; without a scheme, any scheme."""
    try:
        given, wanted = urlsplit(origin), urlsplit(allowed if "//" in allowed else f"//{allowed}")
        given_host, wanted_host = given.hostname, wanted.hostname
        given_port, wanted_port = given.port, wanted.port
    except ValueError:
        return False
    if given_host is None or wanted_host is None:
        return False
    if (
        wanted.scheme
        and (given.scheme != wanted.scheme or _port(given.scheme, given_port) != _port(wanted.scheme, wanted_port))
    ) or (wanted_port is not None and given_port != wanted_port):
        return False
    if wanted_host.startswith("*."):
        return given_host.endswith(wanted_host[1:])
    return given_host == wanted_host


def _port(scheme: str, port: int | None) -> int | None:
    return port if port is not None else {"http": 80, "https": 443}.get(scheme)
