"""Sends private messages, their deletions, and alerts that were lost between nodes to clients that stayed connected.

Clients that were away catch up by joining with `after_id`. Both ways read Postgres, which has every acknowledged
message and every alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from weakref import ref

from gateway.missed import Missed, Stored
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.registry import Subscriber
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable

log = log_of(__name__)

PAGE = 1000
"""Stored events that one statement reads."""
MARGIN_SECONDS = 10.0
"""Reading starts this long before the known gap: messages may have been on their way when the link broke."""
REMEMBERED = 50_000
"""At least this many of the node's last deliveries are not repeated. Clients drop older repeats by their ids."""
_RETRY_SECONDS = 1.0


class RecentSet:
    """Remembers at least the last `size` things, and at most twice as many.

    It drops half of them at a time, because a dict would have to search for its oldest entry.
    """

    __slots__ = ("_newer", "_older", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._newer: set[Hashable] = set()
        self._older: set[Hashable] = set()

    def add(self, thing: Hashable) -> None:
        """Remember the thing."""
        if len(self._newer) >= self._size:
            self._older, self._newer = self._newer, set()
        self._newer.add(thing)

    @property
    def is_empty(self) -> bool:
        """True until something is added."""
        return not self._newer and not self._older

    def __contains__(self, thing: Hashable) -> bool:
        return thing in self._newer or thing in self._older


class CatchUp:
    """Each node has one. `gap` may be called at any time; gaps that come together are read together."""

    def __init__(self, endpoint: Endpoint, *kinds: Missed) -> None:
        """`kinds` are the kinds of stored events."""
        self._endpoint = endpoint
        self._kinds = kinds
        self._delivered = RecentSet(REMEMBERED)
        self._caught_up = RecentSet(REMEMBERED)
        """What was read from Postgres and delivered, each with the last of the members that got it."""
        self._missed_since: float | None = None
        self._covered = (0.0, 0.0)
        """The period whose messages have been read: its beginning and end, in loop time."""
        self._task: asyncio.Task[None] | None = None
        self.runs = 0
        """The number of gaps that were read."""
        for kind in kinds:
            for event in kind.events:
                endpoint.on_delivery(event, self._is_new)
        endpoint.on_gap(self.gap)

    def _is_new(self, broadcast: Broadcast) -> bool:
        """Remember a broadcast that is about to be delivered. Returns False if its members have got it from `_deliver`.

        If somebody has joined since, all get it again: who joined may lack it, and the others drop it by its id.
        """
        stored_id = _stored_id(broadcast.payload)
        if stored_id is None:
            return True
        key = (broadcast.topic, broadcast.event, stored_id)
        self._delivered.add(key)
        return self._caught_up.is_empty or (*key, self._last_member(broadcast.topic)) not in self._caught_up

    def _last_member(self, topic: str) -> ref[Subscriber]:
        """Returns who was the last to join. The topic has members."""
        return ref(self._endpoint.topics.members(topic)[-1])

    def gap(self, seconds: float) -> None:
        """Broadcasts of the last `seconds` may have been missed: read them from Postgres."""
        loop = asyncio.get_running_loop()
        since = loop.time() - seconds
        self._missed_since = since if self._missed_since is None else min(self._missed_since, since)
        if self._task is None:
            self._task = loop.create_task(self._run())

    async def stop(self) -> None:
        """Stop at once, also while a gap is being read."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            while self._missed_since is not None:
                since, self._missed_since = self._missed_since, None
                started = now()
                start, end = self._covered
                # While a gap lasts, it is reported repeatedly: read only the new part.
                unread_since = end if start <= since <= end else since
                try:
                    count = await self._show(started - unread_since + MARGIN_SECONDS)
                except DatabaseUnavailable:
                    await asyncio.sleep(_RETRY_SECONDS)
                    self.gap(now() - since)
                else:
                    self._covered = (start if start <= since <= end else since, started)
                    self.runs += 1
                    log.info("caught up", gap_seconds=round(started - unread_since, 1), messages=count)
        finally:
            self._task = None

    async def _show(self, seconds: float) -> int:
        """Deliver the stored events that were not delivered on this node. Returns their number."""
        return sum([await self._show_kind(kind, seconds) for kind in self._kinds])

    async def _show_kind(self, kind: Missed, seconds: float) -> int:
        users = [user_id for topic in self._endpoint.topics if (user_id := kind.user_of(topic)) is not None]
        if not users:
            return 0
        count = 0
        after_id = await kind.last_id_before(seconds)
        while True:
            page = await kind.after(users, after_id, PAGE)
            for stored in page:
                count += self._deliver(stored)
            if len(page) < PAGE:
                return count
            after_id = page[-1].place

    def _deliver(self, stored: Stored) -> int:
        count = 0
        for topic in stored.topics:
            key = (topic, stored.event, stored.id)
            if topic in self._endpoint.topics and key not in self._delivered:
                last_member = self._last_member(topic)
                self._endpoint.deliver(Broadcast.of(topic, stored.event, stored.payload))
                self._caught_up.add((*key, last_member))
                count += 1
        return count


def _stored_id(payload: bytes) -> int | None:
    """Returns the id in the payload of a stored event, without decoding it: the id comes first."""
    if not payload.startswith(b'{"id":'):
        return None
    digits = payload[6 : payload.find(b",", 6)]
    return int(digits) if digits.isdigit() else None
