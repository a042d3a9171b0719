"""Whether this process runs, and whether it can serve. For load balancers and orchestrators."""

from __future__ import annotations

import asyncio

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.schemas import answers
from shared.postgres import DatabaseUnavailable
from shared.readiness import Readiness

STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set once the process is on its way out."""
READINESS = web.AppKey("readiness", Readiness)


async def live(call: Call) -> web.Response:
    call.query()
    return json_answer(answers.Health(status="ok"))


async def ready(call: Call) -> web.Response:
    """503 with the reasons while Postgres or Redis is away, or while the process is stopping."""
    call.query()
    reasons: dict[str, str] = {}
    try:
        await call.services.database.ping()
    except DatabaseUnavailable as error:
        reasons["postgres"] = str(error)
    if not call.services.broker.connected:
        reasons["redis"] = "not connected"
    if call.request.app[STOPPING].is_set():
        reasons["process"] = "stopping"
    call.request.app[READINESS].found(reasons)
    if reasons:
        return json_answer(answers.Health(status="unavailable", reasons=reasons), 503)
    return json_answer(answers.Health(status="ok"))
