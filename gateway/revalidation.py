"""Asks again whether everyone who is connected is still welcome, after messages between nodes may have been lost.

A log-out, a ban or a change of role that happened meanwhile takes effect then.
"""

from __future__ import annotations

import asyncio

from gateway.identities import Identities
from gateway.protocol.close_codes import NO_LONGER_WELCOME
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.roster import Client
from shared.postgres import DatabaseUnavailable

_AT_ONCE = 500
_RETRY_SECONDS = 1.0


class Revalidation:
    """One for each node."""

    def __init__(self, endpoint: Endpoint, identities: Identities) -> None:
        self._endpoint = endpoint
        self._identities = identities
        self._wanted = False
        self._task: asyncio.Task[None] | None = None
        endpoint.on_gap(self.gap)

    def gap(self, _seconds: float) -> None:
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
        identity = connection.identity
        person = await self._identities.find(identity.user_id, identity.session_id or "")
        if person is None or person.is_banned or person.is_revoked:
            connection.close(NO_LONGER_WELCOME)
        elif person.role != identity.role:
            self._endpoint.connections.role_changed(identity.user_id, person.role.value)
