"""The connections of a node: finds those of a user, checks each about once a second, and closes them when necessary.

It knows no topics, and of a connection only what Client declares.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from gateway.protocol.close_codes import DISCONNECTED, RESTARTING, SLOW, Close
from gateway.runtime import event_lines
from gateway.runtime.callbacks import Notice
from gateway.runtime.counts import Counts
from gateway.runtime.registry import Registry
from shared.access.actor import Actor
from shared.domain.users import Role
from shared.events import control
from shared.settings import Settings

SLICES = 16
"""All connections are checked in this many turns of the loop: one turn with thousands would delay everything else."""
DRAIN_STEPS = 20
"""The number of batches in which a stopping node closes its connections."""
FINISH_SECONDS = 5.0
"""How long a stopping node waits for the channels of a connection to finish their callbacks."""
_RECENT_SECONDS = 60.0
"""How long events of users are remembered: longer than the time from a user's look-up to the open connection."""


class Client(Protocol):
    """The part of a connection that the roster needs."""

    number: int
    actor: Actor
    as_of: float
    """Loop time before the actor was looked up."""
    backlog: int

    @property
    def outbox_bytes(self) -> int: ...
    @property
    def log_fields(self) -> dict[str, Any]: ...
    def check(self, now: float) -> None: ...
    def close(self, close: Close) -> None: ...
    def notice(self, notice: Notice) -> None: ...
    def hold(self) -> list[Callable[[], None]]: ...
    async def finish(self) -> None: ...


class Leaving(Protocol):
    """A connection whose close frame has been sent."""

    ended: asyncio.Future[None]

    @property
    def unread_bytes(self) -> int: ...
    def cut(self) -> None: ...


class _Event:
    """A recent event of a user: a disconnect (of all sessions, one, or all but one), a change of role, or a recheck."""

    __slots__ = ("at", "is_recheck", "kept_session_id", "role", "session_id", "user_id")

    def __init__(
        self,
        at: float,
        user_id: int,
        session_id: str | None,
        kept_session_id: str | None,
        role: Role | None,
        is_recheck: bool,
    ) -> None:
        self.at = at
        self.user_id = user_id
        self.session_id = session_id
        self.kept_session_id = kept_session_id
        self.role = role
        self.is_recheck = is_recheck

    def ends(self, session_id: str) -> bool:
        """True if the disconnect is meant for connections of this session."""
        return self.session_id in (None, session_id) and self.kept_session_id != session_id


class Roster:
    """All connections of a node."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self._settings = settings
        self._counts = counts
        self._slices: tuple[dict[Client, None], ...] = tuple({} for _ in range(SLICES))
        self._users: Registry[int, Client] = Registry()
        self._numbers = itertools.count(1)
        self._recent: deque[_Event] = deque()
        self._recent_of: dict[int, list[_Event]] = {}
        self._leaving: set[Leaving] = set()
        self._behind: list[tuple[int, Client]] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._on_recheck: Callable[[int], None] | None = None
        self.is_draining = False
        self.backlog = 0
        """Messages of all connections that waited for busy channels at the last check."""
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
        """Number of users with a connection."""
        return len(self._users)

    def of_user(self, user_id: int) -> tuple[Client, ...]:
        """Returns the user's connections, oldest first."""
        return self._users.members(user_id)

    # Coming and going

    def next_number(self) -> int:
        """Returns a number for a new connection that is unique on this node."""
        return next(self._numbers)

    def add(self, client: Client) -> None:
        """Add a new connection, and apply recent events of its user."""
        event_lines.tell("connected", client)
        self._slices[client.number % SLICES][client] = None
        self._users.add(client.actor.user_id, client)
        self.admitted(client)
        if self.is_draining:
            client.close(RESTARTING)

    def remove(self, client: Client) -> None:
        """Remove a connection that has ended."""
        event_lines.tell("disconnected", client)
        self._counts.disconnects.inc()
        self._slices[client.number % SLICES].pop(client, None)
        self._users.remove(client.actor.user_id, client)

    async def drain(self) -> None:
        """Close all connections with 1012, in batches over `drain_seconds`: clients must not reconnect all at once.

        From then on, nothing more is read from a connection of the batch: it is closed when what was read has been
        answered, but after `FINISH_SECONDS` in any case. No batch waits for the one before it. A connection that opens
        during the drain is closed at once.
        """
        self.is_draining = True
        clients = list(self)
        random.shuffle(clients)
        size = -(-len(clients) // DRAIN_STEPS)
        async with asyncio.TaskGroup() as releasing:
            for start in range(0, len(clients), size or 1):
                for client in clients[start : start + size]:
                    releasing.create_task(_release(client))
                if start + size < len(clients):
                    await asyncio.sleep(self._settings.drain_seconds / DRAIN_STEPS)
        # Clients that read slowly are cut off within `close_seconds`.
        while self._leaving:
            await asyncio.wait([leaving.ended for leaving in self._leaving])
            await asyncio.sleep(0)

    def farewell(self, leaving: Leaving) -> None:
        """Keep a closed connection until it has ended. Until then, its unread bytes count towards the total limit."""
        self._leaving.add(leaving)
        leaving.ended.add_done_callback(lambda _: self._leaving.discard(leaving))

    def cut(self) -> None:
        """End all closed connections now, whatever their clients have not read."""
        for leaving in self._leaving:
            leaving.cut()

    # Events of users

    def admitted(self, client: Client) -> None:
        """The client's actor was looked up at `as_of`: apply the user's events since then."""
        for event in self._recent_of.get(client.actor.user_id, ()):
            if event.at < client.as_of:
                continue
            if event.is_recheck:
                self._ask(event.user_id)
            elif event.role is not None:
                client.actor = client.actor.with_role(event.role)
            elif event.ends(client.actor.session_id):
                client.close(DISCONNECTED)

    def disconnect(self, user_id: int, session_id: str | None, *, kept_session_id: str | None = None) -> None:
        """Close a user's connections, only those of one session, or all but those of one, with 1001."""
        event = self._remember(user_id, session_id=session_id, kept_session_id=kept_session_id)
        for client in self.of_user(user_id):
            if event.ends(client.actor.session_id):
                client.close(DISCONNECTED)

    def role_changed(self, user_id: int, role: Role) -> None:
        """Set the user's new role, and make the user's channels check again what they may see."""
        self._remember(user_id, role=role)
        notice = Notice(control.ROLE_CHANGED, control.role_changed(user_id, role))
        for client in self.of_user(user_id):
            client.actor = client.actor.with_role(role)
            client.notice(notice)

    def on_recheck(self, listener: Callable[[int], None]) -> None:
        """Call `listener(user_id)` when the database must be asked whether a user may stay, and with which role.

        The listener closes the connections that may not stay, and calls `role_changed`.
        """
        self._on_recheck = listener

    @property
    def can_ask(self) -> bool:
        """True if this node has a database to ask about its users; a node of a test may have none."""
        return self._on_recheck is not None

    def recheck(self, user_id: int) -> None:
        """Ask the database about a user who, as another process says, logged out, was banned or changed role."""
        self._remember(user_id, is_recheck=True)
        self._ask(user_id)

    def _ask(self, user_id: int) -> None:
        if self._on_recheck is not None:
            self._on_recheck(user_id)

    def _remember(
        self,
        user_id: int,
        *,
        session_id: str | None = None,
        kept_session_id: str | None = None,
        role: Role | None = None,
        is_recheck: bool = False,
    ) -> _Event:
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0].at < now - _RECENT_SECONDS:
            forgotten = self._recent.popleft()
            events = self._recent_of[forgotten.user_id]
            events.remove(forgotten)
            if not events:
                del self._recent_of[forgotten.user_id]
        event = _Event(now, user_id, session_id, kept_session_id, role, is_recheck)
        self._recent.append(event)
        self._recent_of.setdefault(user_id, []).append(event)
        return event

    # Regular checks

    def start(self) -> None:
        """Check each connection about once a second until `stop`. One timer checks them all, a slice at a time."""
        self._sweep(0)

    def stop(self) -> None:
        """End the regular checks."""
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
            # One that was closed during this round is counted among the leaving, and only there.
            behind = [(outbox_bytes, client) for outbox_bytes, client in self._behind if client in self]
            self._behind.clear()
            self._bound_outboxes(behind)

    def _bound_outboxes(self, behind: list[tuple[int, Client]]) -> None:
        """Close connections if all slow readers together hold too many bytes, though each is within its own limit."""
        total = sum(outbox_bytes for outbox_bytes, _ in behind) + sum(one.unread_bytes for one in self._leaving)
        limit = self._settings.max_total_outbox_bytes
        if total <= limit:
            return
        # Closing connections go first: their clients have had their chance to read.
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
            await client.finish()
    except TimeoutError:
        pass
    client.close(RESTARTING)
