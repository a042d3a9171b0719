"""The client's address: the peer's, or the one that a trusted proxy names in X-Forwarded-For. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
_MOST_REMEMBERED = 10_000
Networks = Sequence[IPv4Network | IPv6Network]

_LONGEST = 64
"""No address is written with more characters, its zone and port included."""

_IPV6_PREFIX = 64
"""A household or a machine gets at least a network of this size, so all its addresses are counted as one."""
_WIDER_IPV6 = ((56, 4), (48, 16))
"""Many providers give a customer a /56, and tunnel brokers give away a /48. Each is counted as a whole as well, with
this many times the allowance of a /64."""
_IPV4_NETWORK = 24


def client_address(peer: str | None, forwarded_for: Iterable[str], trusted: Networks) -> str:
    """Returns the rightmost address that is not a trusted proxy's; anyone can forge the addresses left of it.

    `forwarded_for` has the X-Forwarded-For headers in order. Returns "" if the peer has no address (a Unix socket).
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
    """True if the address belongs to a trusted proxy."""
    if not trusted:
        return False
    parsed = _parse(address or "") if isinstance(address, str) or address is None else address
    return parsed is not None and any(parsed in network for network in trusted)


def forwarded_host(peer: str | None, headers: Mapping[str, str], trusted: Networks) -> str:
    """Returns the X-Forwarded-Host, or "" if there is none or the peer is no trusted proxy."""
    named = headers.get("X-Forwarded-Host", "")
    return named if named and is_trusted(peer, trusted) else ""


@lru_cache(_MOST_REMEMBERED)
def counted_as(address: str) -> str:
    """Returns what shares one allowance: the IPv4 address, or the /64 network of the IPv6 address."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
    return address


@lru_cache(_MOST_REMEMBERED)
def networks_of(address: str) -> tuple[tuple[str, int], ...]:
    """Returns the networks whose requests are counted together, the narrowest first, with the size of their allowances.

    An IPv4 address is one such network. An IPv6 address is in three: /64 has one allowance, /56 has 4, /48 has 16.
    """
    parsed = _parse(address)
    if not isinstance(parsed, IPv6Address):
        return ((address, 1),)
    sizes = ((_IPV6_PREFIX, 1), *_WIDER_IPV6)
    return tuple((str(ip_network((parsed, size), strict=False)), times) for size, times in sizes)


@lru_cache(_MOST_REMEMBERED)
def network_of(address: str) -> str:
    """Returns the network by which guesses are counted and events are logged: of IPv4 the /24, of IPv6 the /64."""
    parsed = _parse(address)
    if isinstance(parsed, IPv4Address):
        return str(ip_network((parsed, _IPV4_NETWORK), strict=False))
    return counted_as(address)


def _parse(text: str) -> Address | None:
    """Parse an address, also with a port, as some proxies write it: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    text = text.strip()
    return _parse_short(text) if len(text) <= _LONGEST else None


@lru_cache(_MOST_REMEMBERED)
def _parse_short(text: str) -> Address | None:
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
