"""Whether a process was ready when it was last asked: only a change is worth a line of the log.

Whoever asks does so every few seconds, for ever; those lines would bury all others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from shared.logs import Log

ASKED_BY_MACHINES = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that are asked for all the time. That one is asked for is logged at DEBUG."""


class Readiness:
    """One for each process."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._missing: frozenset[str] = frozenset()

    def found(self, reasons: Mapping[str, str]) -> None:
        """Why it is not ready now, in words, by the name of what is missing; empty when it is ready."""
        missing = frozenset(reasons)
        if missing == self._missing:
            return
        self._missing = missing
        if not reasons:
            self._log.info("ready again")
            return
        # To stop is not a fault.
        level = logging.INFO if missing == {"process"} else logging.WARNING
        self._log.log(level, "not ready", reasons=dict(reasons))
