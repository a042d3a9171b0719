"""This process's metrics, for Prometheus."""

from __future__ import annotations

from aiohttp import web

from api.call import Call
from shared.metrics import Metrics

METRICS = web.AppKey("metrics", Metrics)


async def read(call: Call) -> web.Response:
    """Numbers for Prometheus."""
    call.query()
    return await call.request.app[METRICS].handle(call.request)
