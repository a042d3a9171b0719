"""The origin in a page's links to itself. Anybody can name any host in a request; a link must not lead there. Pure."""

from __future__ import annotations

import re

from aiohttp import web

from shared.access.addresses import forwarded_host, is_trusted
from shared.access.origins import is_allowed
from shared.settings import Settings

HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def origin_of_site(settings: Settings, request: web.Request) -> str:
    """Returns the setting; without it, the origin that the visitor used, as the request and a trusted proxy say.

    Returns "" if the host is malformed, or not one of ALLOWED_ORIGINS: the page is then without absolute links.
    """
    if settings.site_url:
        return settings.site_url.rstrip("/")
    host = forwarded_host(request.remote, request.headers, settings.trusted_proxies) or request.host
    if not HOST.fullmatch(host):
        return ""
    origin = f"{_scheme(settings, request)}://{host}"
    return origin if not settings.allowed_origins or is_allowed(origin, host, settings) else ""


def _scheme(settings: Settings, request: web.Request) -> str:
    named = request.headers.get("X-Forwarded-Proto", "").strip().lower()
    is_named = named in ("http", "https") and is_trusted(request.remote, settings.trusted_proxies)
    return named if is_named else request.scheme
