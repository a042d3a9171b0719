"""Serves connections until the process is told to stop, then shuts down in order."""

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
    """Returns an event that SIGTERM and SIGINT set."""
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
    """Start the application and listen. After `stop`, await `leave`, then accept no more connections.

    Current requests then have `shutdown_seconds` to finish. A connection without a request is closed after
    `keepalive_seconds`, also a new one. Raises OSError if it cannot listen; the message names the settings that begin
    with `name`.
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
