"""The numbers of this process, for Prometheus."""

from __future__ import annotations

from aiohttp import web

from api.call import Call
from api.metrics import CONTENT_TYPE, METRICS


async def read(call: Call) -> web.Response:
    call.query()
    return web.Response(body=call.request.app[METRICS].text(), headers={"Content-Type": CONTENT_TYPE})
