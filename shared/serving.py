"""How a process serves from its first connection to its last, and leaves in order when it is told to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from aiohttp import web

from shared.logs import log_of
from shared.start import cannot_listen

log = log_of(__name__)

Listen = Callable[[web.Server], Awaitable[asyncio.Server]]
Leave = Callable[[], Awaitable[None]]


def stop_signal() -> asyncio.Event:
    """Set once the process is told to stop, by SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def serve_until(
    stop: asyncio.Event,
    app: web.Application,
    listen: Listen,
    leave: Leave,
    *,
    name: str,
    host: str,
    port: int,
    keepalive_seconds: float,
    shutdown_seconds: float,
) -> None:
    """Start the application, listen, and after `stop` let `leave` have its time; then no connection is taken any more.

    Requests that are still under way have `shutdown_seconds`. `keepalive_seconds` bounds who connects and sends no
    request, too. Raises OSError, which names the settings that begin with `name`, if it cannot listen.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_seconds, keepalive_timeout=keepalive_seconds)
    await runner.setup()
    assert runner.server is not None
    listener: asyncio.Server | None = None
    try:
        try:
            listener = await listen(runner.server)
        except OSError as error:
            raise cannot_listen(name, host, port, error) from None
        log.info("listening", host=host, port=port)
        await stop.wait()
        await leave()
    finally:
        if listener is not None:
            listener.close()
        await runner.cleanup()
