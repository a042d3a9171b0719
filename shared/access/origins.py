"""Decides which web pages may connect and call, by the origin that the browser sends. Pure; both processes use it."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Protocol
from urllib.parse import urlsplit

ANY = "*"
NAMED = frozenset({"null", "file://"})
"""Origins without a host: those of sandboxed pages, and of apps made of local files."""

_PATTERN = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*):(?=//))?(?://)?"
    r"(?P<wildcard>\*\.)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\.)"
    r"(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
_NO_ORIGINS = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "mailto", "ws", "wss"})
"""Schemes that no browser sends in an origin; `file://` is in NAMED."""
_NAMES = frozenset({"null", "file"})
_WEB = frozenset({"http", "https"})


class OriginSettings(Protocol):
    """The part of `Settings` that this module needs. `Settings` itself calls `origin_fault`."""

    @property
    def allowed_origins(self) -> tuple[str, ...]: ...
    @property
    def is_production(self) -> bool: ...


def is_allowed(origin: str | None, host: str, settings: OriginSettings, forwarded_host: str = "") -> bool:
    """True if the origin may connect. Clients that are not pages send no origin, and may.

    `host` is the request's Host header, and `forwarded_host` the X-Forwarded-Host of a trusted proxy, if it sent one.
    """
    if origin is None:
        return True
    if not settings.allowed_origins:
        return not settings.is_production or _same_host(origin, host, forwarded_host)
    return any(_matches(origin, allowed) for allowed in settings.allowed_origins)


def origin_fault(allowed: str) -> str | None:
    """Returns why the entry can match no origin, or None if it can match one.

    Valid entries: `https://example.com` with or without a port, `https://*.example.com`, both also without a scheme;
    `null`; `file://`; `*` for any origin.
    """
    if allowed == ANY or allowed in NAMED:
        return None
    if allowed.lower() in NAMED:
        return "must be written in small letters"
    if not allowed.isascii():
        return "has characters that origins cannot have; write the host as browsers send it, beginning with xn--"
    match = _PATTERN.fullmatch(allowed)
    if match is None:
        return "is not an origin: a scheme, a host and an optional port, like https://example.com"
    if (match["scheme"] or "").lower() in _NO_ORIGINS:
        return f"is not a page's origin: those begin with http or https, not with {match['scheme']}"
    if match["port"] is not None and not 0 < int(match["port"]) < 65536:
        return "has a port that is not between 1 and 65535"
    if match["host"].lower() in _NAMES:
        return "has no host; write `null` or `file://` alone"
    # `app://.` is the origin of apps made with Electron.
    is_app = match["host"] == "." and match["scheme"] is not None and match["scheme"].lower() not in _WEB
    if not is_app and not _is_host(match["host"], has_wildcard=match["wildcard"] is not None):
        return "has no host"
    return None


def _is_host(host: str, *, has_wildcard: bool) -> bool:
    if host == ".":
        return False
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
            return not has_wildcard
        if host.rpartition(".")[2].isdigit():
            # Browsers treat it as an IPv4 address, which has no subdomains.
            IPv4Address(host)
            return not has_wildcard
    except AddressValueError:
        return False
    return True


def _same_host(origin: str, host: str, forwarded_host: str) -> bool:
    """True if the page comes from the host and port to which it sends the request.

    The scheme is not compared: a proxy may end TLS and not say so. Without a port, the origin's scheme decides which
    one is meant, on both sides.
    """
    # A chain of proxies adds to the header: the first entry is what the client asked for.
    named = forwarded_host.partition(",")[0].strip() or host
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"{parts.scheme}://{named}")
        if parts.hostname is None or parts.hostname != own.hostname:
            return False
        return _port(parts.scheme, parts.port) == _port(parts.scheme, own.port)
    except ValueError:
        return False


def _matches(origin: str, allowed: str) -> bool:
    """`https://example.com` matches itself; `https://*.example.com` matches it and its subdomains, as `check_origin` of
    Phoenix does; without a scheme any scheme matches."""
    if allowed == ANY:
        return True
    if allowed in NAMED:
        return origin == allowed
    try:
        sent, wanted = urlsplit(origin), urlsplit(allowed if "//" in allowed else f"//{allowed}")
        sent_host, wanted_host = sent.hostname, wanted.hostname
        sent_port, wanted_port = sent.port, wanted.port
    except ValueError:
        return False
    if sent_host is None or wanted_host is None:
        return False
    port = _port(sent.scheme, sent_port)
    if wanted.scheme and (sent.scheme != wanted.scheme or port != _port(wanted.scheme, wanted_port)):
        return False
    if not wanted.scheme and wanted_port not in (None, port):
        return False
    if wanted_host.startswith("*."):
        return sent_host == wanted_host[2:] or sent_host.endswith(wanted_host[1:])
    return sent_host == wanted_host or (":" in wanted_host and _same_address(sent_host, wanted_host))


def _same_address(host: str, other: str) -> bool:
    """True if both are the same IPv6 address, which has several spellings. Browsers use the shortest."""
    try:
        return IPv6Address(host) == IPv6Address(other)
    except AddressValueError:
        return False


def _port(scheme: str, port: int | None) -> int | None:
    return port if port is not None else {"http": 80, "https": 443}.get(scheme)
