"""The connections of a node, from their first moment to their last: whose they are, how they fare, when they must go.

Knows nothing of topics, and of a connection only what Client says.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from gateway.identity import Identity
from gateway.protocol.close_codes import DISCONNECTED, RESTARTING, SLOW, Close
from gateway.runtime.callbacks import Notice
from gateway.runtime.counts import Counts
from gateway.runtime.registry import Registry
from shared.events import control
from shared.logs import log_of
from shared.settings import Settings

log = log_of(__name__)

SLICES = 16
"""In how many turns of the loop all connections are looked after: in one, thousands would hold up all else."""
DRAIN_STEPS = 20
"""In how many batches a stopping node closes its connections."""
FINISH_SECONDS = 5.0
"""How long a stopping node waits for what a connection's channels are doing."""
_LATELY_SECONDS = 60.0
"""Longer than anyone takes from the look at a user to an open connection."""


class Client(Protocol):
    """A connection."""

    number: int
    identity: Identity
    backlog: int

    @property
    def outbox_bytes(self) -> int: ...
    @property
    def log_fields(self) -> dict[str, Any]: ...
    def check(self, now: float) -> None: ...
    def close(self, close: Close) -> None: ...
    def notice(self, notice: Notice) -> None: ...
    async def at_rest(self) -> None: ...


class Leaving(Protocol):
    """A connection behind its close frame."""

    ended: asyncio.Future[None]

    @property
    def unread_bytes(self) -> int: ...
    def cut(self) -> None: ...


class _Event:
    """What happened to a user lately: a disconnect of all or of one session, or a change of role."""

    __slots__ = ("at", "role", "session_id", "user_id")

    def __init__(self, at: float, user_id: int, session_id: str | None, role: str | None) -> None:
        self.at = at
        self.user_id = user_id
        self.session_id = session_id
        self.role = role


class Roster:
    """A collection of connections. One for each node."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self._settings = settings
        self._counts = counts
        self._slices: tuple[dict[Client, None], ...] = tuple({} for _ in range(SLICES))
        self._users: Registry[int, Client] = Registry()
        self._numbers = itertools.count(1)
        self._lately: deque[_Event] = deque()
        self._lately_of: dict[int, list[_Event]] = {}
        self._leaving: set[Leaving] = set()
        self._behind: list[tuple[int, Client]] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self.is_draining = False
        self.backlog = 0
        """Messages that waited for busy channels, of all connections, when they were looked after last."""
        self._backlog = 0

    def __len__(self) -> int:
        return sum(map(len, self._slices))

    def __iter__(self) -> Iterator[Client]:
        for part in self._slices:
            yield from tuple(part)

    def __contains__(self, client: Client) -> bool:
        return client in self._slices[client.number % SLICES]

    @property
    def users(self) -> int:
        """How many users have a connection."""
        return len(self._users)

    def of_user(self, user_id: int) -> tuple[Client, ...]:
        """In the order in which they came."""
        return self._users.members(user_id)

    # Coming and going

    def next_number(self) -> int:
        """For a connection that is being made, unlike any other's of this node."""
        return next(self._numbers)

    def add(self, client: Client) -> None:
        _log("connected", client)
        self._slices[client.number % SLICES][client] = None
        self._users.add(client.identity.user_id, client)
        self.identified(client)
        if self.is_draining:
            client.close(RESTARTING)

    def remove(self, client: Client) -> None:
        _log("disconnected", client)
        self._counts.disconnects.inc()
        self._slices[client.number % SLICES].pop(client, None)
        self._users.remove(client.identity.user_id, client)

    async def drain(self) -> None:
        """Close all with 1012, in batches over `drain_seconds`, so that they do not all come back at once.

        What a channel is doing is finished and answered before its connection is closed. Whoever comes from now on is
        closed at once.
        """
        self.is_draining = True
        clients = list(self)
        random.shuffle(clients)
        size = -(-len(clients) // DRAIN_STEPS)
        for start in range(0, len(clients), size or 1):
            await asyncio.gather(*map(_release, clients[start : start + size]))
            if start + size < len(clients):
                await asyncio.sleep(self._settings.drain_seconds / DRAIN_STEPS)
        # Those who read slowly are cut within `close_seconds`.
        while self._leaving:
            await asyncio.wait([leaving.ended for leaving in self._leaving])
            await asyncio.sleep(0)

    async def farewell(self, leaving: Leaving) -> None:
        """Returns when a connection that was closed has ended. Until then, what waits for its client counts."""
        self._leaving.add(leaving)
        try:
            # Whoever waits may be cancelled; the connection ends by itself.
            await asyncio.shield(leaving.ended)
        except asyncio.CancelledError:
            leaving.cut()
            raise
        finally:
            self._leaving.discard(leaving)

    # What becomes of users

    def identified(self, client: Client) -> None:
        """The connection has an identity: what happened to its user since they were looked up takes effect now."""
        identity = client.identity
        for event in self._lately_of.get(identity.user_id, ()):
            if event.at < identity.as_of:
                continue
            if event.role is not None:
                identity.role = event.role
            elif event.session_id in (None, identity.session_id):
                client.close(DISCONNECTED)

    def disconnect(self, user_id: int, session_id: str | None) -> None:
        """Close a user's connections with 1001; with a session, only those of that session."""
        self._remember(user_id, session_id=session_id)
        for client in self.of_user(user_id):
            if session_id in (None, client.identity.session_id):
                client.close(DISCONNECTED)

    def role_changed(self, user_id: int, role: str) -> None:
        """Have the user's channels look again at what they may see."""
        self._remember(user_id, role=role)
        notice = Notice(control.ROLE_CHANGED, control.role_changed(user_id, role))
        for client in self.of_user(user_id):
            client.identity.role = role
            client.notice(notice)

    def _remember(self, user_id: int, *, session_id: str | None = None, role: str | None = None) -> None:
        now = asyncio.get_running_loop().time()
        while self._lately and self._lately[0].at < now - _LATELY_SECONDS:
            forgotten = self._lately.popleft()
            events = self._lately_of[forgotten.user_id]
            events.remove(forgotten)
            if not events:
                del self._lately_of[forgotten.user_id]
        event = _Event(now, user_id, session_id, role)
        self._lately.append(event)
        self._lately_of.setdefault(user_id, []).append(event)

    # Looking after all of them

    def start(self) -> None:
        """Look after each about once a second, until `stop`: one timer for all, a slice of them at a time."""
        self._sweep(0)

    def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _sweep(self, turn: int) -> None:
        loop = asyncio.get_running_loop()
        seconds = min(1.0, self._settings.idle_seconds / 4) / SLICES
        self._sweeping = loop.call_later(seconds, self._sweep, (turn + 1) % SLICES)
        now = loop.time()
        for client in tuple(self._slices[turn]):
            client.check(now)
            self._backlog += client.backlog
            if outbox_bytes := client.outbox_bytes:
                self._behind.append((outbox_bytes, client))
        if turn == SLICES - 1:
            self.backlog, self._backlog = self._backlog, 0
            behind, self._behind = self._behind, []
            self._bound_outboxes(behind)

    def _bound_outboxes(self, behind: list[tuple[int, Client]]) -> None:
        """Many slow readers, each within its own limit, must not take all memory either."""
        total = sum(outbox_bytes for outbox_bytes, _ in behind) + sum(one.unread_bytes for one in self._leaving)
        limit = self._settings.max_total_outbox_bytes
        if total <= limit:
            return
        # Those who were told to go have had their chance.
        for leaving in sorted(self._leaving, key=lambda one: one.unread_bytes, reverse=True):
            if total <= limit:
                return
            total -= leaving.unread_bytes
            leaving.cut()
        for outbox_bytes, client in sorted(behind, key=lambda one: one[0], reverse=True):
            if total <= limit:
                break
            total -= outbox_bytes
            client.close(SLOW)


async def _release(client: Client) -> None:
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await client.at_rest()
    except TimeoutError:
        pass
    client.close(RESTARTING)


def _log(event: str, client: Client) -> None:
    if log.is_on(logging.DEBUG):
        log.debug(event, **client.log_fields)
