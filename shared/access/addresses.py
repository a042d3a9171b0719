"""Where a request comes from: the peer, or whom our own proxies name in X-Forwarded-For. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

_IPV6_PREFIX = 64
"""One household or machine is given at least so much of IPv6: whoever counts addresses must count these."""


def client_address(peer: str | None, forwarded_for: Iterable[str], trusted: Networks) -> str:
    """The rightmost address that is no trusted proxy: whatever stands left of it, anyone can have written.

    `forwarded_for` holds the X-Forwarded-For headers in order. Empty where the peer has no address (a Unix socket).
    """
    address = _parse(peer or "")
    if address is None:
        return ""
    if trusted:
        hops = ",".join(forwarded_for).split(",")
        while hops and is_trusted(address, trusted):
            named = _parse(hops.pop())
            if named is None:
                break
            address = named
    return str(address)


def is_trusted(address: Address | str | None, trusted: Networks) -> bool:
    """Whether it is one of our proxies."""
    if not trusted:
        return False
    parsed = _parse(address or "") if isinstance(address, str) or address is None else address
    return parsed is not None and any(parsed in network for network in trusted)


def counted_as(address: str) -> str:
    """What shares one allowance: an IPv4 address, or an IPv6 network of /64."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
    return address


def _parse(text: str) -> Address | None:
    """Also with a port, as some proxies write it: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
