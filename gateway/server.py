"""Runs one gateway process: it listens until a signal stops it, then drains."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.app import ENDPOINT, HEALTH, METRICS, WEBSOCKETS, create_app
from gateway.listener import listen
from gateway.runtime.endpoint import new_node_id
from shared import tracing
from shared.garbage import look_for_garbage_rarely
from shared.logs import log_of
from shared.serving import serve_until, stop_signal
from shared.settings import Settings
from shared.start import check_services
from shared.workers.worker import Worker

log = log_of(__name__)


async def serve(settings: Settings, worker: Worker | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Then close the sockets in batches and finish current replies, by a deadline.

    `worker` says what this process serves as one of several. Raises InvalidSettings, or OSError if it cannot listen.
    """
    node_id = new_node_id()
    tracing.start(settings, "gateway", node_id)
    try:
        await _serve(settings, node_id, worker)
    finally:
        tracing.stop()


async def _serve(settings: Settings, node_id: str, worker: Worker | None) -> None:
    stop = stop_signal(worker)
    await check_services(settings)
    app = await create_app(settings, node_id)
    look_for_garbage_rarely()

    async def drain() -> None:
        log.info("draining", connections=len(app[ENDPOINT].connections))
        try:
            async with asyncio.timeout(settings.shutdown_seconds):
                await app[ENDPOINT].drain()
        except TimeoutError:
            log.warning("not drained in time")

    async with app[METRICS].shown_by_all(worker):
        await serve_until(
            stop,
            app,
            partial(
                listen,
                websockets=app[WEBSOCKETS],
                host=settings.gateway_host,
                port=settings.gateway_port,
                sockets=None if worker is None else worker.sockets,
                max_connections=settings.max_connections,
                head_seconds=min(settings.request_head_seconds, settings.keepalive_seconds),
            ),
            drain,
            name="GATEWAY",
            host=settings.gateway_host,
            port=settings.gateway_port,
            # After the drain, only requests for health and metrics can still be running.
            keepalive_seconds=settings.keepalive_seconds,
            worker=worker,
            is_ready=app[HEALTH].is_ready,
        )
