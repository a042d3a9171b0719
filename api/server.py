"""Runs one API process, as soon as Postgres has its version's schema."""

from __future__ import annotations

import asyncio

from aiohttp import web

from api.app import create_app
from api.handlers.health import HEALTH, STOPPING
from api.handlers.metrics import METRICS
from api.refused import refuse
from api.services import new_node_id
from shared import tracing
from shared.garbage import exempt_what_exists
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable
from shared.postgres.schema import is_schema_applied
from shared.pubsub import broker_for
from shared.refusals import have_all_asked, refusing
from shared.serving import serve_until, stop_signal
from shared.settings import Settings
from shared.start import check_services
from shared.workers.worker import Worker

log = log_of(__name__)

SCHEMA_PATIENCE_SECONDS = 30.0
"""How long the start waits for Postgres, which may still be starting, and for its schema."""
BACKLOG = 1024
"""The most connections that wait in the kernel to be accepted."""


class SchemaMissing(Exception):
    """The database does not have the schema of this version. The message is one line for the operator."""


async def serve(settings: Settings, worker: Worker | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Then accept no new connections, and finish the current requests by a deadline.

    `worker` says what this process serves as one of several. Raises InvalidSettings, DatabaseUnavailable,
    SchemaMissing, OSError.
    """
    stop = stop_signal(worker)
    await check_services(settings)
    # Do this before any long waiting, so that the operator sees a wrong setting at once.
    node_id = new_node_id()
    tracing.start(settings, "api", node_id)
    try:
        await _serve(settings, node_id, stop, worker)
    finally:
        tracing.stop()


async def _serve(settings: Settings, node_id: str, stop: asyncio.Event, worker: Worker | None) -> None:
    app = create_app(settings, broker_for(settings, node_id), node_id)
    waiting = asyncio.create_task(_until_schema_is_applied(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        return
    waiting.result()
    stopping.cancel()
    exempt_what_exists()

    async def listen(server: web.Server) -> _Listeners:
        loop, handlers = asyncio.get_running_loop(), refusing(server, refuse)
        if worker is None:
            servers = [await loop.create_server(handlers, settings.api_host, settings.api_port, backlog=BACKLOG)]
        else:
            servers = [await loop.create_server(handlers, sock=each, backlog=BACKLOG) for each in worker.sockets]
        return _Listeners(server, servers)

    async def leave() -> None:
        app[STOPPING].set()
        log.info("stopping")

    async with app[METRICS].shown_by_all(worker):
        await serve_until(
            stop,
            app,
            listen,
            leave,
            name="API",
            host=settings.api_host,
            port=settings.api_port,
            keepalive_seconds=settings.keepalive_seconds,
            finish_seconds=settings.shutdown_seconds,
            worker=worker,
            is_ready=app[HEALTH].is_ready,
        )


class _Listeners:
    """What accepts connections, on each address."""

    def __init__(self, server: web.Server, servers: list[asyncio.Server]) -> None:
        self._server = server
        self._servers = servers

    def close(self) -> None:
        """Accept no more connections."""
        for server in self._servers:
            server.close()

    def is_settled(self) -> bool:
        """Whether a request has arrived on each connection."""
        return have_all_asked(self._server)


async def _until_schema_is_applied(settings: Settings) -> None:
    deadline = asyncio.get_running_loop().time() + SCHEMA_PATIENCE_SECONDS
    is_waiting = False
    while True:
        problem: DatabaseUnavailable | SchemaMissing
        try:
            if await is_schema_applied(settings):
                return
            problem = SchemaMissing(
                "DATABASE_URL: the database does not have the schema of this version, or this role may not use it: "
                "run `python -m api schema` as the role that owns the database"
            )
        except DatabaseUnavailable as error:
            problem = error
        if asyncio.get_running_loop().time() >= deadline:
            raise problem
        if not is_waiting:
            is_waiting = True
            log.warning("waiting for Postgres", reason=str(problem))
        await asyncio.sleep(0.2)
