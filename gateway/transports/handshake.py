"""What both transports check before a connection begins: origin, version, and the place of the token."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl

from aiohttp import hdrs
from multidict import MultiMapping

from gateway.protocol.serializer import Serializer, negotiate
from gateway.transports.upgrade import SUBPROTOCOL
from shared.access.addresses import forwarded_host
from shared.access.origins import is_allowed
from shared.client_address import Received
from shared.logs import log_of
from shared.refused_origins import RefusedOrigins
from shared.settings import Settings

_refused = RefusedOrigins(log_of(__name__))

TOKEN_SUBPROTOCOL_PREFIX = "base64url.bearer.phx."


class Asking(Received, Protocol):
    """The part of a request that says from which page it comes."""

    @property
    def host(self) -> str: ...


def query_of(query: str) -> dict[str, str]:
    """Returns the parameters of a raw query by name. If a name occurs twice, the last one counts, as in Phoenix."""
    if "%" not in query and "+" not in query:
        # Nothing is encoded. Then this is the same, and takes half the time.
        return {name: value for name, _, value in (part.partition("=") for part in query.split("&") if part)}
    return dict(parse_qsl(query, keep_blank_values=True))


class Offer(NamedTuple):
    """The meaning of the subprotocols that a client offers."""

    is_good: bool
    """True if none is offered, or `phoenix` is among them."""
    token: str | None
    """The `authToken` of phoenix.js, which sends it as a subprotocol; None if there is no token or more than one."""


_NOTHING_OFFERED = Offer(True, None)


def subprotocols_of(headers: MultiMapping[str]) -> Offer:
    """Read the offered subprotocols. A client that offers any must offer `phoenix`: a token alone is no protocol."""
    lines = headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if lines is None:
        return _NOTHING_OFFERED
    offered = [protocol.strip() for line in lines for protocol in line.split(",")]
    tokens = [protocol for protocol in offered if protocol.startswith(TOKEN_SUBPROTOCOL_PREFIX)]
    token = _decoded(tokens[0].removeprefix(TOKEN_SUBPROTOCOL_PREFIX)) if len(tokens) == 1 else None
    return Offer(SUBPROTOCOL in offered, token)


def _decoded(encoded: str) -> str:
    """Returns the text of base64 in either alphabet (RFC 4648, 4 and 5), padded or not; "" if it is not base64."""
    encoded = encoded.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def serializer_of(query: dict[str, str]) -> Serializer | None:
    """Returns the serializer for the query's `vsn`; None if the version is refused."""
    return negotiate(query.get("vsn"))


def origin_is_allowed(request: Asking, settings: Settings) -> bool:
    """True if a page of the request's origin may connect. Clients other than browsers send no origin, and may."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return True
    if is_allowed(
        origin, request.host, settings, forwarded_host(request.remote, request.headers, settings.trusted_proxies)
    ):
        return True
    _refused.tell(origin)
    return False
