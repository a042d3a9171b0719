"""Adds headers to every answer: they restrict what browsers do with it, and say which other origins may read it (CORS).

Tokens are sent in a header, never in a cookie. So no answer allows credentials, and no other site can act for a user
without the token. This module knows no routes.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from api.middlewares.requests import Handler
from shared.access.addresses import forwarded_host, is_trusted
from shared.access.origins import is_allowed
from shared.logs import log_of
from shared.refused_origins import RefusedOrigins
from shared.settings import Settings

DEFAULTS = (
    (hdrs.CACHE_CONTROL, "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    # This replaces aiohttp's header, which names the versions of aiohttp and Python.
    (hdrs.SERVER, "daveslist"),
    ("X-Content-Type-Options", "nosniff"),
)
"""Headers of every answer whose handler has not set them."""

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
    "Upload-Complete, Upload-Length, Upload-Offset"
)
_EXPOSED_HEADERS = (
    "ETag, Idempotent-Replayed, Location, Retry-After, "
    "Upload-Complete, Upload-Length, Upload-Limit, Upload-Offset, X-Request-Id"
)
_PREFLIGHT_SECONDS = "600"
_HSTS = "max-age=31536000"


def headers(settings: Settings) -> Middleware:
    """Returns the middleware that adds the headers and answers CORS preflights."""
    refused = RefusedOrigins(log_of(__name__))

    @web.middleware
    async def add_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        is_known = origin is not None and is_allowed(
            origin, request.host, settings, forwarded_host(request.remote, request.headers, settings.trusted_proxies)
        )
        if origin is not None and not is_known:
            refused.tell(origin)
        if is_known and request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            response: web.StreamResponse = _preflight()
        else:
            response = await handler(request)
        answer_headers = response.headers
        for name, value in DEFAULTS:
            answer_headers.setdefault(name, value)
        answer_headers[hdrs.VARY] = f"{answer_headers[hdrs.VARY]}, Origin" if hdrs.VARY in answer_headers else "Origin"
        if origin is not None and is_known:
            answer_headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            answer_headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED_HEADERS
        if settings.is_production and _is_over_tls(request, settings):
            answer_headers["Strict-Transport-Security"] = _HSTS
        return response

    return add_headers


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: _PREFLIGHT_SECONDS,
        },
    )


def _is_over_tls(request: web.Request, settings: Settings) -> bool:
    """True if the client uses TLS, to this process or to a trusted proxy that says so."""
    if request.secure:
        return True
    scheme = request.headers.get("X-Forwarded-Proto", "")
    return scheme.strip().lower() == "https" and is_trusted(request.remote, settings.trusted_proxies)
