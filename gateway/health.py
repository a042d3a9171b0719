"""Whether this gateway runs, and whether it can serve. For load balancers and orchestrators."""

from __future__ import annotations

from aiohttp import web

from gateway.runtime.endpoint import Endpoint
from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable
from shared.readiness import Readiness


class Health:
    """Ready: Postgres and Redis answer, and the process is not on its way out."""

    def __init__(self, endpoint: Endpoint, database: Database) -> None:
        self._endpoint = endpoint
        self._database = database
        self._readiness = Readiness(log_of(__name__))

    async def live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def accepting(self, _: web.Request) -> web.Response:
        """204 where a new connection is welcome, else 503. Asked before each: it asks nobody else."""
        return web.Response(status=503 if self._endpoint.is_draining else 204)

    async def ready(self, _: web.Request) -> web.Response:
        """503 with the reasons."""
        reasons: dict[str, str] = {}
        try:
            await self._database.ping()
        except DatabaseUnavailable as error:
            reasons["postgres"] = str(error)
        if not self._endpoint.broker.connected:
            reasons["redis"] = "not connected"
        if self._endpoint.is_draining:
            reasons["process"] = "stopping"
        self._readiness.found(reasons)
        if reasons:
            return web.json_response({"status": "unavailable", "reasons": reasons}, status=503)
        return web.json_response({"status": "ok"})
