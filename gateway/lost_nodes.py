"""Notices that another process may have committed something without publishing it, and reports that as a gap.

A process that died may have done so once; a process that is cut off from the broker does so repeatedly. Both show in
the rows that all processes keep in Postgres (shared/membership.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import Enum, auto

from shared.logs import log_of
from shared.repositories.nodes import FORGOTTEN_SECONDS, NodeState

log = log_of(__name__)


class _Life(Enum):
    ALIVE = auto()
    DEAD = auto()
    SETTLED = auto()
    """The node has been dead so long that none of its statements can still be running in Postgres."""


class LostNodes:
    """What this gateway knows about other nodes. Call `observe` with each report. `clock` returns seconds. Pure."""

    def __init__(
        self,
        gap: Callable[[float], None],
        *,
        every_seconds: float,
        silence_seconds: float,
        statement_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`gap(seconds)` is called when broadcasts of the last `seconds` may have been missed, at most once in
        `every_seconds`. A link to the broker can be silent for `silence_seconds` before it is known to be down. A
        statement can run on in Postgres for `statement_seconds` after its process has died.
        """
        self._gap = gap
        self._every_seconds = every_seconds
        self._silence_seconds = silence_seconds
        self._statement_seconds = statement_seconds
        self._clock = clock
        self._known: dict[str, tuple[_Life, int]] = {}
        """Node -> its life, and its `unheard` when this gateway last caught up with it."""
        self._observed_at = clock()
        self._next_gap = float("-inf")

    def observe(self, others: Sequence[NodeState]) -> None:
        """Evaluate the last reports of all other nodes. May call `gap`."""
        now = self._clock()
        if now < self._next_gap:
            # Waiting misses nothing: the rows will show the same at the next report.
            return
        unseen_seconds, self._observed_at = now - self._observed_at, now
        missed = [node for node in others if self._is_news(node)]
        self._known = {node.id: (self._life(node), node.unheard) for node in others}
        seconds = [node.heard_seconds for node in missed]
        if unseen_seconds > FORGOTTEN_SECONDS / 2:
            # Rows of dead nodes may have been added and deleted in between.
            seconds.append(unseen_seconds)
        if seconds:
            self._next_gap = now + self._every_seconds
            log.info("other nodes were not heard", nodes=[node.id for node in missed])
            self._gap(max(seconds) + self._silence_seconds)

    def _is_news(self, node: NodeState) -> bool:
        life, unheard = self._known.get(node.id, (_Life.ALIVE, 0))
        now = self._life(node)
        return node.unheard != unheard or (now is not life and now is not _Life.ALIVE)

    def _life(self, node: NodeState) -> _Life:
        if node.dead_seconds < 0:
            return _Life.ALIVE
        return _Life.DEAD if node.dead_seconds < self._statement_seconds else _Life.SETTLED
