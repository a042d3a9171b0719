"""Runs one API process. It applies the schema first."""

from __future__ import annotations

import asyncio

from aiohttp import web

from api.app import create_app
from api.handlers.health import STOPPING
from api.services import new_node_id
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable
from shared.postgres.schema import apply_schema
from shared.pubsub import broker_for
from shared.serving import serve_until, stop_signal
from shared.settings import Settings

log = log_of(__name__)

SCHEMA_PATIENCE_SECONDS = 30.0
"""How long the start waits for Postgres, which may still be starting."""
BACKLOG = 1024
"""The most connections that wait in the kernel to be accepted."""


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Then accept no new connections, and finish the current requests by a deadline.

    Raises InvalidSettings, DatabaseUnavailable, OSError.
    """
    # Do this before any waiting, so that the operator sees a wrong setting at once.
    node_id = new_node_id()
    app = create_app(settings, broker_for(settings, node_id), node_id)
    stop = stop_signal()
    applying = asyncio.create_task(_apply_schema(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([applying, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not applying.done():
        applying.cancel()
        return
    applying.result()
    stopping.cancel()

    async def listen(server: web.Server) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            server, settings.api_host, settings.api_port, backlog=BACKLOG
        )

    async def leave() -> None:
        app[STOPPING].set()
        log.info("stopping")

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
    )


async def _apply_schema(settings: Settings) -> None:
    deadline = asyncio.get_running_loop().time() + SCHEMA_PATIENCE_SECONDS
    is_waiting = False
    while True:
        try:
            if await apply_schema(settings):
                log.info("schema applied")
            return
        except DatabaseUnavailable as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            if not is_waiting:
                is_waiting = True
                log.warning("waiting for Postgres", reason=str(error))
            await asyncio.sleep(0.2)
