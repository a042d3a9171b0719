"""The address of a request's client, through the proxies that the settings trust."""

from __future__ import annotations

from typing import Protocol

from multidict import MultiMapping

from shared.access.addresses import Networks, client_address


class Received(Protocol):
    """The part of a request that says where it comes from."""

    @property
    def headers(self) -> MultiMapping[str]: ...
    @property
    def remote(self) -> str | None:
        """The address of the peer, which may be a proxy."""


def address_of(request: Received, trusted: Networks) -> str:
    """Returns the client's address; "" if it has none, as over a Unix socket."""
    forwarded = request.headers.getall("X-Forwarded-For", ()) if trusted else ()
    return client_address(request.remote, forwarded, trusted)
