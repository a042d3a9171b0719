"""Says whether this process runs, and whether it can serve: for load balancers and orchestrators."""

from __future__ import annotations

import asyncio

from aiohttp import web

from api.call import Call
from shared.health import Health

STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set when the process begins to stop."""
HEALTH = web.AppKey("health", Health)


async def live(call: Call) -> web.Response:
    """Whether the process runs."""
    call.query()
    return await call.request.app[HEALTH].live(call.request)


async def ready(call: Call) -> web.Response:
    """Whether the process can serve: if not, 503 with the reasons.

    It cannot while Postgres or Redis is away, or while the process is stopping.
    """
    call.query()
    return await call.request.app[HEALTH].ready(call.request)
