"""One gateway process: listens, and leaves in order when it is told to."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web

from gateway.app import ENDPOINT, create_app
from gateway.listener import listen
from gateway.runtime.garbage import look_for_garbage_rarely
from shared.logs import log_of
from shared.settings import Settings
from shared.start import cannot_listen

log = log_of(__name__)


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT: then sockets are closed in batches, replies under way finished, all by a deadline."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await create_app(settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=settings.keepalive_seconds)
    await runner.setup()
    assert runner.server is not None
    look_for_garbage_rarely()
    listener: asyncio.Server | None = None
    try:
        try:
            listener = await listen(
                runner.server,
                settings.gateway_host,
                settings.gateway_port,
                max_connections=settings.max_connections,
                head_seconds=settings.request_head_seconds,
            )
        except OSError as error:
            raise cannot_listen("GATEWAY", settings.gateway_host, settings.gateway_port, error) from None
        log.info("listening", host=settings.gateway_host, port=settings.gateway_port)
        await stop.wait()
        log.info("draining", connections=len(app[ENDPOINT].connections))
        async with asyncio.timeout(settings.shutdown_seconds):
            await app[ENDPOINT].drain()
    except TimeoutError:
        log.warning("not drained in time")
    finally:
        if listener is not None:
            listener.close()
        await runner.cleanup()
