"""Which web pages may connect and call, by the origin that their browser names. Pure; both processes ask it."""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.settings import Settings


def is_allowed(origin: str | None, host: str, settings: Settings) -> bool:
    """`host` is the request's own. A client that is no page sends no origin, and may."""
    if origin is None:
        return True
    if not settings.allowed_origins:
        return not settings.is_production or _same_host(origin, host)
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
    port = _port(given.scheme, given_port)
    if wanted.scheme and (given.scheme != wanted.scheme or port != _port(wanted.scheme, wanted_port)):
        return False
    if not wanted.scheme and wanted_port not in (None, port):
        return False
    if wanted_host.startswith("*."):
        return given_host.endswith(wanted_host[1:])
    return given_host == wanted_host


def _port(scheme: str, port: int | None) -> int | None:
    return port if port is not None else {"http": 80, "https": 443}.get(scheme)
