"""Counts every request: its route, its status, its time."""

from __future__ import annotations

import time

from aiohttp import web

from api.metrics import UNMATCHED, method_label
from api.middlewares.requests import Handler
from api.services import SERVICES

CLIENT_GONE = 499
"""No answer was sent: the client had left, or the process was stopping."""


@web.middleware
async def metrics(request: web.Request, handler: Handler) -> web.StreamResponse:
    counts = request.config_dict[SERVICES].request_counts
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
