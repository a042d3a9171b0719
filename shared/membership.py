"""Reports to Postgres that this process is alive, and whether it can publish to the gateways.

Gateways hear over the broker what a process has committed, unless it dies after the commit or is cut off from the
broker. In both cases they can learn from Postgres that they missed something: the commit shows that Postgres was
reachable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable
from shared.pubsub.broker import Broker
from shared.repositories.nodes import NodeRepository, NodeState
from shared.settings import Settings

log = log_of(__name__)

REPORTS_PER_LEASE = 4
PATIENCE_SECONDS = 2.0
"""How long a starting or stopping process waits for its report to Postgres."""


class Membership:
    """Keeps the row of one process, and marks it at the end: gateways then catch up, however the process ended."""

    def __init__(
        self,
        settings: Settings,
        node_id: str,
        broker: Broker,
        *,
        published: Callable[[], int],
        on_others: Callable[[Sequence[NodeState]], None] | None = None,
    ) -> None:
        """`published` returns the number of this process's broadcasts. `on_others` is called after each report."""
        # A separate pool: a busy process must not seem dead because its report waits for a connection.
        self._database = Database(replace(settings, database_pool_size=1))
        self._nodes = NodeRepository(self._database)
        self._node_id = node_id
        self._broker = broker
        self._lease_seconds = settings.node_lease_seconds
        self._published = published
        self._on_others = on_others
        self._unheard = 0
        self._reported = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Wait for the first report, for PATIENCE_SECONDS at most. Reports are retried in the background."""
        self._task = asyncio.create_task(self._run(), name="membership")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._reported.wait()
        except TimeoutError:
            log.warning("the first report of this node is late; retrying")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark the row as left. Nothing may be published after this."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._nodes.leave(self._node_id)
        except (DatabaseUnavailable, TimeoutError):
            log.info("the end of this node was not reported; its lease will expire")
        await self._database.close()

    async def _run(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(self._lease_seconds / REPORTS_PER_LEASE)

    async def _report(self) -> None:
        is_heard = self._broker.connected
        if not is_heard:
            # Broadcasts from shortly before the link was found to be down may be lost too, so count all of them.
            self._unheard = self._published()
        try:
            others = await self._nodes.report(
                self._node_id, lease_seconds=self._lease_seconds, is_heard=is_heard, unheard=self._unheard
            )
            if not self._reported.is_set():
                await self._nodes.forget()
                self._reported.set()
            if self._on_others is not None:
                self._on_others(others)
        except DatabaseUnavailable as error:
            log.debug("this node could not report", error=str(error))
        except Exception:
            # A fault here must end only this report, not all later ones.
            log.exception("report of this node failed")
