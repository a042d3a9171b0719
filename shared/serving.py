"""Serves connections until the process is told to stop, then shuts down in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from shared.listening import cannot_listen
from shared.logs import log_of
from shared.workers.worker import Worker

log = log_of(__name__)

_WRITE_SECONDS = 3.0
"""How long answers may be written after their handlers have ended."""


class Listener(Protocol):
    """What accepts connections."""

    def close(self) -> None:
        """Accept no more connections."""


@runtime_checkable
class Settling(Protocol):
    """A listener that knows of the connections that it has accepted."""

    def is_settled(self) -> bool:
        """Whether the first request of each connection has arrived."""


Listen = Callable[[web.Server], Awaitable[Listener]]
"""Listens, and gives each connection to a handler of the server."""
Leave = Callable[[], Awaitable[None]]


READY_POLL_SECONDS = 0.05
SETTLE_SECONDS = 5.0
"""How long a replaced worker waits for the first requests on the connections that it accepted last."""


def stop_signal(worker: Worker | None = None) -> asyncio.Event:
    """Returns an event that SIGTERM and SIGINT set.

    For one of several workers, its parent sets it too. Alone, a process has no successor that SIGHUP could ask for: it
    stops, and whatever supervises it starts it again.
    """
    stop = asyncio.Event()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if worker is None:
        numbers.append(signal.SIGHUP)
    else:
        worker.watch(stop.set)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class CurrentRequests:
    """Counts the requests that are being handled, to wait for their end."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def middleware(self) -> Middleware:
        """Returns the middleware that counts."""

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._count += 1
            self._none.clear()
            try:
                return await handler(request)
            finally:
                self._count -= 1
                if self._count == 0:
                    self._none.set()

        return counted

    async def ended(self, seconds: float) -> None:
        """Wait until no request is being handled, but no longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()


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
    finish_seconds: float = 0.0,
    worker: Worker | None = None,
    is_ready: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Start the application and listen. After `stop`, await `leave`, then accept no more connections.

    A `worker` whose successor is there, or whose parent has died, accepts no more connections before `leave`. Its
    parent is told when `is_ready`.

    Current requests then have `finish_seconds` to finish, and at least 3 s. If `finish_seconds` is more than 3 s, the
    rest of a body may still arrive meanwhile. A connection without a request is closed after `keepalive_seconds`, also
    a new one. Raises OSError if it cannot listen; the message names the settings that begin with `name`.
    """
    requests: CurrentRequests | None = None
    if finish_seconds > _WRITE_SECONDS:
        # Counted only where it is needed, because each middleware costs every frame of a WebSocket a step.
        requests = CurrentRequests()
        app.middlewares.insert(0, requests.middleware())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_WRITE_SECONDS, keepalive_timeout=keepalive_seconds)
    await runner.setup()
    assert runner.server is not None
    listener: Listener | None = None
    telling: asyncio.Task[None] | None = None
    try:
        if worker is not None:
            worker.is_about_to_listen()
        try:
            listener = await listen(runner.server)
        except OSError as error:
            raise cannot_listen(name, host, port, error) from None
        log.info("listening", host=host, port=port)
        if worker is not None and is_ready is not None:
            worker.is_listening()
            telling = asyncio.create_task(_tell_when_ready(worker, is_ready))
        await stop.wait()
        if worker is not None and (worker.is_replaced or worker.is_orphan):
            # Those that wait in the socket are for the successor; another parent needs the port. Whoever was accepted
            # just now is still served.
            listener.close()
            await _settled(listener)
        await leave()
        listener.close()
        if requests is not None:
            # From the moment when the runner cleans up, aiohttp drops whatever arrives, also the rest of a body.
            await requests.ended(finish_seconds - _WRITE_SECONDS)
    finally:
        if telling is not None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        if listener is not None:
            listener.close()
        await runner.cleanup()


async def _settled(listener: Listener) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            looks = 0
            # A request that has just arrived is given to its handler in the turns of the loop that follow.
            while looks < 2:
                await asyncio.sleep(READY_POLL_SECONDS)
                looks = 0 if isinstance(listener, Settling) and not listener.is_settled() else looks + 1


async def _tell_when_ready(worker: Worker, is_ready: Callable[[], Awaitable[bool]]) -> None:
    # Postgres and Redis do not say when they are there, so they are asked.
    while not await is_ready():  # noqa: ASYNC110
        await asyncio.sleep(READY_POLL_SECONDS)
    worker.is_ready()
