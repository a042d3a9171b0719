"""Failures as pages: what a browser shows of an address that is wrong, or of a page that cannot be made right now.

An address that differs from a page's only by capital letters or slashes leads to that page, also to that of the API's
documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aiohttp import hdrs, web

from api.handlers.documentation import DOCUMENTATION
from api.handlers.feeds import FEEDS
from api.handlers.web import PAGES, html_page
from api.pages.rendering import embedded
from api.problems import Problem
from shared.settings import Settings

_MISSING_LISTING = "/listings/{id}"
_NO_LISTING = embedded(b'{"/api/listings/{id}":null,"/api/listings/{id}/replies":null}')
"""What the page's modules would be answered if they asked for the listing."""
_ADDRESSES = re.compile(
    "|".join(
        # The first sitemap has the number 0.
        re.sub(r"\\\{\w+\\\}", number, re.escape(path))
        for paths, number in (((*PAGES, DOCUMENTATION), "[1-9][0-9]{0,18}"), (FEEDS, "(?:0|[1-9][0-9]{0,18})"))
        for path in paths
    ),
    re.ASCII,
)
_BEHIND = ".,;:!?'\"*_~)]}>\u2019\u201d\xbb\u2026 \xa0\u200b\u200e\u200f\u2060\ufeff"
"""What people write behind an address, and programs take along that make a link of it."""
_FOR_MACHINES = re.compile(r"/(?:api|health|metrics|web)(?:/.*)?", re.DOTALL)

FailedPage = Callable[[web.Request, Problem], web.Response | None]


def failed_page(settings: Settings) -> FailedPage:
    """Returns the function that makes a page of a problem, or None where the client does not want one."""

    def make(request: web.Request, problem: Problem) -> web.Response | None:
        resource = request.match_info.route.resource
        is_page = resource is not None and resource.canonical in PAGES
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            return None
        if problem.status == 404:
            address = _right_address(request)
            if address is not None:
                return web.Response(status=301, headers={hdrs.LOCATION: address, hdrs.CACHE_CONTROL: "no-cache"})
        if _FOR_MACHINES.fullmatch(request.path) or (not is_page and not _wants_html(request)):
            return None
        if problem.status == 404:
            of_listing = resource is not None and resource.canonical == _MISSING_LISTING
            return _missing_listing(settings, request) if of_listing else _missing(settings, request)
        values = {"title": problem.title, "detail": problem.detail, "is_listed": False}
        return html_page(settings, request, "problem.html", values, status=problem.status, headers=problem.headers)

    return make


def _missing_listing(settings: Settings, request: web.Request) -> web.Response:
    values = {"title": "No longer available", "is_listed": False, "answers": _NO_LISTING}
    return html_page(settings, request, "missing_listing.html", values, status=404)


def _missing(settings: Settings, request: web.Request) -> web.Response:
    headers = {str(hdrs.VARY): str(hdrs.ACCEPT)}
    return html_page(
        settings, request, "missing.html", {"title": "Not found", "is_listed": False}, status=404, headers=headers
    )


def _wants_html(request: web.Request) -> bool:
    return "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()


def _right_address(request: web.Request) -> str | None:
    """Returns the address that was meant, with its query; None if it is no other one of the page's."""
    # It begins with one slash, so it never leads to another site.
    meant = request.path.lower().rstrip(_BEHIND)
    path = "/" + "/".join(part for part in meant.split("/") if part)
    if path == request.path or not _ADDRESSES.fullmatch(path):
        return None
    query = request.rel_url.raw_query_string
    return f"{path}?{query}" if query else path
