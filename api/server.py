"""Runs one API process: it applies the schema, listens until a signal stops it, and then ends in order."""

from __future__ import annotations

import asyncio
import logging
import signal

from aiohttp import web

from api.app import create_app
from api.handlers.health import STOPPING
from api.pictures.storage import open_store
from api.services import new_node_id
from shared.postgres import DatabaseUnavailable
from shared.postgres.schema import apply_schema
from shared.pubsub import broker_for
from shared.settings import Settings
from shared.start import cannot_listen

log = logging.getLogger("api")

SCHEMA_PATIENCE_SECONDS = 30.0
"""How long the start waits for Postgres, which may be starting at the same time."""


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Then accept no new connections, and finish the requests by a deadline.

    Raises InvalidSettings, DatabaseUnavailable, OSError.
    """
    # This comes before any waiting, so that the operator sees a wrong setting at once.
    open_store(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    applying = asyncio.create_task(_apply_schema(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([applying, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not applying.done():
        applying.cancel()
        return
    applying.result()
    node_id = new_node_id()
    app = create_app(settings, broker_for(settings, node_id), node_id)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=settings.shutdown_seconds,
        # This also ends connections that send no request, or only a part of one.
        keepalive_timeout=settings.keepalive_seconds,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.api_host, settings.api_port, backlog=1024).start()
        except OSError as error:
            raise cannot_listen("API", settings.api_host, settings.api_port, error) from None
        log.info("listening", extra={"fields": {"host": settings.api_host, "port": settings.api_port}})
        await stop.wait()
        app[STOPPING].set()
        log.info("stopping")
    finally:
        stopping.cancel()
        await runner.cleanup()


async def _apply_schema(settings: Settings) -> None:
    deadline = asyncio.get_running_loop().time() + SCHEMA_PATIENCE_SECONDS
    while True:
        try:
            if await apply_schema(settings):
                log.info("schema applied")
            return
        except DatabaseUnavailable:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(0.2)
