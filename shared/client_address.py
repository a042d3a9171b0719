"""The address of a request's client, through the proxies that the settings trust."""

from __future__ import annotations

from aiohttp import web

from shared.access.addresses import Networks, client_address


def address_of(request: web.Request, trusted: Networks) -> str:
    """Returns the client's address; "" if it has none, as over a Unix socket."""
    forwarded = request.headers.getall("X-Forwarded-For", ()) if trusted else ()
    return client_address(request.remote, forwarded, trusted)
