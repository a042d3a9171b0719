"""Which addresses push messages may go to. Browsers name them, so anybody can name any: a request of the server must
not reach what only the server can reach (OWASP ASVS 5.0, 1.3.6).

The address's form is checked when a browser subscribes. The name is resolved when a message is sent, and the connection
goes to the very addresses that were checked, so that a name cannot change its meaning in between.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from shared.domain.push import MAX_ENDPOINT_LENGTH

_FORM = re.compile(r"https?://[!-~]+")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_TRANSLATED = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")
"""Addresses of IPv4 that a gateway translates (RFC 6052, RFC 8215)."""


class PrivateAddress(OSError):
    """The name leads to an address that is not on the public internet."""


def endpoint_fault(endpoint: str, *, allows_private: bool = False) -> str | None:
    """Returns why push messages cannot go to this address, as a sentence; None if they can."""
    if len(endpoint) > MAX_ENDPOINT_LENGTH:
        return f"Longer than {MAX_ENDPOINT_LENGTH} characters."
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "Not an address of a push service."
    if not _FORM.fullmatch(endpoint) or "\\" in endpoint or "@" in parts.netloc or not host or parts.fragment:
        return "Not an address of a push service."
    if allows_private:
        return None
    if parts.scheme != "https" or port not in (None, 443):
        return "Must begin with https:// and have no port."
    # An address in numbers, in any of its spellings, is of no push service.
    if not _HOST.fullmatch(host) or host.rpartition(".")[2].isdigit() or host.endswith((".local", ".internal")):
        return "Must have the name of a host on the internet."
    return None


def is_public(address: str) -> bool:
    """Returns whether the address is one of the public internet, also as the address of IPv4 that it stands for."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if any(found in network for network in _TRANSLATED):
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        if inner and not is_public(str(inner)):
            return False
        if found.ipv4_mapped:
            return True
    return found.is_global and not found.is_multicast and not found.is_reserved


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only."""

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises PrivateAddress if any address of the name is not public, or OSError."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise PrivateAddress(f"{host} leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()
