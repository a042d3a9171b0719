"""Runs a lab node with its HTTP server in the test's own loop."""

from __future__ import annotations

from aiohttp import web

from gateway.app import add_socket
from gateway.runtime.endpoint import Endpoint
from shared.access.admission import Admit
from shared.pubsub.broker import Broker
from shared.settings import Settings
from tests.lab.__main__ import LabAdmission
from tests.lab.node import lab_node


class LabNode:
    """One node that listens on `port`."""

    def __init__(self, endpoint: Endpoint, runner: web.AppRunner) -> None:
        self.endpoint = endpoint
        self.runner = runner
        self.port: int = runner.addresses[0][1]

    @property
    def socket_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/socket/websocket"

    @property
    def longpoll_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/socket/longpoll"

    async def stop(self) -> None:
        await self.runner.cleanup()
        await self.endpoint.stop()


async def start_lab_node(
    settings: Settings,
    broker: Broker,
    *,
    node_id: str | None = None,
    admit: Admit | None = None,
    shutdown_seconds: float = 1.0,
) -> LabNode:
    """Start a node on a free port.

    It admits every token of the settings' secret, unless `admit` decides otherwise. When it stops, requests that are
    still being answered have `shutdown_seconds`.
    """
    endpoint = lab_node(settings, broker, node_id=node_id)
    await endpoint.start()
    app = web.Application()
    add_socket(app, endpoint, admit or LabAdmission(settings.jwt_secrets[0]))
    # The product starts its server like this. aiohttp's test server would cancel handlers of lost clients.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return LabNode(endpoint, runner)
