"""Tells the log of pages that may not connect or call, with their origin, so that it can be allowed; within bounds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LINES_PER_MINUTE = 60
"""Anybody can send any origin; what comes beyond is counted."""
_LONGEST = 200


class RefusedOrigins:
    """One for each process and place."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._since = clock()
        self._told = 0
        self._untold = 0

    def tell(self, origin: str) -> None:
        now = self._clock()
        if now - self._since >= 60.0:
            if self._untold:
                self._logger.warning("more origins refused", extra={"fields": {"count": self._untold}})
            self._since, self._told, self._untold = now, 0, 0
        if self._told < LINES_PER_MINUTE:
            self._told += 1
            self._logger.warning("origin refused", extra={"fields": {"origin": origin[:_LONGEST]}})
        else:
            self._untold += 1
