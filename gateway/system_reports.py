"""Reports of all gateways, for admins who look. While nobody looks, nothing is gathered and nothing is sent."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.runtime.broadcast import Broadcast
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.report import of_node, of_user
from shared.events import control
from shared.events.system import DEVICES, GATEWAY, NODES, nodes_payload
from shared.events.topics import SYSTEM
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable
from shared.repositories.nodes import NodeRepository

log = log_of(__name__)

EVERY_SECONDS = 3.0
"""How often a gateway with an admin asks all gateways for a report."""
_LEAST_SECONDS = 1.0
"""A gateway reports this rarely at most, however many ask."""


class SystemReports:
    """Asks for reports while an admin looks on this gateway, and answers those who ask."""

    _endpoint: Endpoint

    def __init__(self, nodes: NodeRepository) -> None:
        self._nodes = nodes
        self._task: asyncio.Task[None] | None = None
        self._reported_at = 0.0

    def serve(self, endpoint: Endpoint) -> None:
        """Report of this endpoint from now on. Call this before its start."""
        self._endpoint = endpoint
        endpoint.on_report(self._report)

    def watch(self) -> None:
        """Begin to ask, until nobody on this gateway has joined the topic."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="system reports")

    def ask_for(self, user_id: int) -> None:
        """Let every gateway say which connections a user has on it."""
        self._ask(control.report(user_id))

    async def stop(self) -> None:
        """End the asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._endpoint.topics.members(SYSTEM):
            self._ask(control.report())
            try:
                nodes = await self._nodes.listed(lease_seconds=self._endpoint.settings.node_lease_seconds)
            except DatabaseUnavailable as error:
                log.info("the processes are not known", reason=str(error))
            except Exception:
                # A fault here must not end all later rounds.
                log.exception("the processes are not known")
            else:
                self._endpoint.deliver(Broadcast.of(SYSTEM, NODES, nodes_payload(nodes)))
            await asyncio.sleep(EVERY_SECONDS)

    def _ask(self, asked: dict[str, Any]) -> None:
        question = Broadcast.of(control.CONTROL, control.REPORT, asked)
        self._endpoint.send(control.CONTROL, question.envelope(self._endpoint.node_id))
        self._report(asked)

    def _report(self, asked: dict[str, Any]) -> None:
        endpoint = self._endpoint
        if asked["user_id"] is not None:
            endpoint.broadcast(SYSTEM, DEVICES, of_user(endpoint, asked["user_id"]))
            return
        now = asyncio.get_running_loop().time()
        if now - self._reported_at >= _LEAST_SECONDS:
            self._reported_at = now
            endpoint.broadcast(SYSTEM, GATEWAY, of_node(endpoint))
