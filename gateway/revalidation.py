"""Looks up every connected user again when messages between nodes may have been lost.

Log-outs, bans and changes of role that this node missed then take effect.
"""

from __future__ import annotations

import asyncio

from gateway.protocol.close_codes import NO_LONGER_WELCOME
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.roster import Client
from shared.access.admission import Admission, Refused
from shared.postgres import DatabaseUnavailable

_AT_ONCE = 500
_RETRY_SECONDS = 1.0


class Revalidation:
    """Each node has one. Gaps that come together cause one round of look-ups."""

    def __init__(self, endpoint: Endpoint, admission: Admission) -> None:
        self._endpoint = endpoint
        self._admission = admission
        self._wanted = False
        self._task: asyncio.Task[None] | None = None
        endpoint.on_gap(self.gap)

    def gap(self, _seconds: float) -> None:
        """Look all users up again, soon."""
        self._wanted = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                connections = list(self._endpoint.connections)
                try:
                    for start in range(0, len(connections), _AT_ONCE):
                        batch = connections[start : start + _AT_ONCE]
                        await asyncio.gather(*(self._check(connection) for connection in batch))
                except DatabaseUnavailable:
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._wanted = True
        finally:
            self._task = None

    async def _check(self, connection: Client) -> None:
        try:
            actor = await self._admission.readmit(connection.actor)
        except Refused:
            connection.close(NO_LONGER_WELCOME)
        else:
            if actor.role is not connection.actor.role:
                self._endpoint.connections.role_changed(actor.user_id, actor.role)
