"""Runs a lab node with its server in the test's own loop."""

from __future__ import annotations

from gateway.runtime.endpoint import Endpoint
from shared.access.admission import Admit
from shared.pubsub.broker import Broker
from shared.settings import Settings
from tests.lab.__main__ import LabAdmission
from tests.lab.listening import Served, serve
from tests.lab.node import lab_node
from tests.support.address import Listening


class LabNode(Listening):
    """One node that listens on `port`."""

    def __init__(self, endpoint: Endpoint, listening: Served) -> None:
        self.endpoint = endpoint
        self._listening = listening
        self.port = listening.port

    @property
    def connections(self) -> int:
        """The number of TCP connections that have sent something."""
        return self._listening.connections

    async def stop(self) -> None:
        await self._listening.stop()
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
    admitting = admit or LabAdmission(settings.jwt_secrets[0])
    return LabNode(endpoint, await serve(endpoint, admitting, shutdown_seconds=shutdown_seconds))
