"""Logs the origins of pages that were refused, so that an operator can allow them; the number of lines is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.lines_per_minute import LinesPerMinute
from shared.logs import Log

_LONGEST = 200


class RefusedOrigins:
    """Logs the refusals of one middleware or handshake."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._lines: LinesPerMinute[None] = LinesPerMinute(self._tell_dropped, clock)

    def tell(self, origin: str) -> None:
        """Log the refusal of an origin, or count it if there were too many in this minute: anybody can send any."""
        if self._lines.take(None):
            self._log.warning("origin refused", origin=origin[:_LONGEST])

    def _tell_dropped(self, _: None, count: int) -> None:
        self._log.warning("more origins refused", count=count)
