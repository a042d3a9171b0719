"""Counts every request by method, route and status, and measures its duration."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Middleware

from api.middlewares.requests import Handler
from api.request_counts import UNMATCHED, RequestCounts, method_label

CLIENT_GONE = 499
"""Counted as the status of a request without an answer: the client had gone, or the process was stopping."""


def metrics(counts: RequestCounts) -> Middleware:
    """Returns the middleware that counts requests."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = UNMATCHED if resource is None else resource.canonical
        method = method_label(request.method)
        started = time.perf_counter()
        try:
            response = await handler(request)
        except BaseException:
            counts.count(method, route, CLIENT_GONE, time.perf_counter() - started)
            raise
        counts.count(method, route, response.status, time.perf_counter() - started)
        return response

    return count
