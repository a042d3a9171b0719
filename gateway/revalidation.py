"""Looks up connected users again: all after messages between nodes may have been lost, one after a message about them.

A message about a user's rights is only a reason to ask Postgres, because somebody may have sent an old message again.
Until Postgres has answered, no broadcast reaches the user's channels that watch access.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from gateway.protocol.close_codes import BANNED, NO_LONGER_WELCOME
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.roster import Client
from shared.access.admission import Admission, Banned, Refused
from shared.postgres import DatabaseUnavailable

_AT_ONCE = 500
_RETRY_SECONDS = 1.0


class Revalidation:
    """Each node has one. Gaps that come together cause one round of look-ups."""

    def __init__(self, endpoint: Endpoint, admission: Admission) -> None:
        self._endpoint = endpoint
        self._admission = admission
        self._wanted = False
        self._to_recheck: dict[int, None] = {}
        """The users to look up next: an ordered set."""
        self._held: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        endpoint.on_gap(self.gap)
        endpoint.connections.on_recheck(self.recheck)

    def gap(self, _seconds: float) -> None:
        """Look all users up again, soon."""
        self._wanted = True
        self._start()

    def recheck(self, user_id: int) -> None:
        """Look the user up soon, and hold the broadcasts to the user's channels until then."""
        connections = self._endpoint.connections.of_user(user_id)
        if connections:
            self._to_recheck[user_id] = None
            self._held += [release for connection in connections for release in connection.hold()]
            self._start()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop at once, also between two tries."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._wanted or self._to_recheck:
                wanted, self._wanted = self._wanted, False
                users, self._to_recheck = self._to_recheck, {}
                held, self._held = self._held, []
                try:
                    await self._check_all(list(self._endpoint.connections) if wanted else self._connections_of(users))
                except DatabaseUnavailable:
                    # The channels now look up their users themselves, and end if Postgres is away for them too.
                    _release(held)
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._wanted |= wanted
                    self._to_recheck = users | self._to_recheck
                else:
                    _release(held)
        finally:
            self._task = None

    def _connections_of(self, user_ids: Iterable[int]) -> list[Client]:
        return [client for user_id in user_ids for client in self._endpoint.connections.of_user(user_id)]

    async def _check_all(self, connections: Sequence[Client]) -> None:
        for start in range(0, len(connections), _AT_ONCE):
            await asyncio.gather(*map(self._check, connections[start : start + _AT_ONCE]))

    async def _check(self, connection: Client) -> None:
        try:
            actor = await self._admission.readmit(connection.actor)
        except Banned:
            connection.close(BANNED)
        except Refused:
            connection.close(NO_LONGER_WELCOME)
        else:
            if actor.has_warning is not connection.actor.has_warning:
                connection.actor = connection.actor.with_warning(actor.has_warning)
            if actor.role is not connection.actor.role:
                self._endpoint.connections.role_changed(actor.user_id, actor.role)


def _release(held: Iterable[Callable[[], None]]) -> None:
    for release in held:
        release()
