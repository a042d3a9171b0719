"""Logs the origins of pages that were refused, so that an operator can allow them; the number of lines is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.logs import Log

LINES_PER_MINUTE = 60
"""Anybody can send any origin, so further ones are only counted."""
_LONGEST = 200


class RefusedOrigins:
    """Logs the refusals of one middleware or handshake."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._since = clock()
        self._logged = 0
        self._dropped = 0

    def tell(self, origin: str) -> None:
        """Log the refusal of an origin, or count it if there were too many in this minute."""
        now = self._clock()
        if now - self._since >= 60.0:
            if self._dropped:
                self._log.warning("more origins refused", count=self._dropped)
            self._since, self._logged, self._dropped = now, 0, 0
        if self._logged < LINES_PER_MINUTE:
            self._logged += 1
            self._log.warning("origin refused", origin=origin[:_LONGEST])
        else:
            self._dropped += 1
