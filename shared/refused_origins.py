"""Tells the log of pages that may not connect or call, with their origin, so that it can be allowed; within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.logs import Log

LINES_PER_MINUTE = 60
"""Anybody can send any origin; what comes beyond is counted."""
_LONGEST = 200


class RefusedOrigins:
    """One for each process and place."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._since = clock()
        self._told = 0
        self._untold = 0

    def tell(self, origin: str) -> None:
        now = self._clock()
        if now - self._since >= 60.0:
            if self._untold:
                self._log.warning("more origins refused", count=self._untold)
            self._since, self._told, self._untold = now, 0, 0
        if self._told < LINES_PER_MINUTE:
            self._told += 1
            self._log.warning("origin refused", origin=origin[:_LONGEST])
        else:
            self._untold += 1
