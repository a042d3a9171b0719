"""What an operator needs to see of attacks: a log line with who and what, and a counter for alerts, for each event.

ASVS 5.0 V16.3. The line has the request's id, by which the request's own line is found. Lines are bounded, because an
attack makes many: past the bound, events are only counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.logs import log_of

log = log_of(__name__)

LINES_PER_MINUTE = 60
"""The most lines of one event that a process writes in a minute."""


class SecurityEvent(StrEnum):
    """The events, by their names in the log and in metrics."""

    LOGIN_FAILED = "login_failed"
    """A wrong address or password, a wrong current password, or a refresh token that is not valid."""
    ACCESS_REFUSED = "access_refused"
    """A user asked for what they may not do, or is banned."""
    LIMITED = "limited"
    """A limit of requests was used up."""
    PASSWORD_CHANGED = "password_changed"
    ROLE_CHANGED = "role_changed"


class SecurityEvents(Collector):
    """Each process has one. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._counts = dict.fromkeys(SecurityEvent, 0)
        self._lines = dict.fromkeys(SecurityEvent, 0)

    def tell(self, event: SecurityEvent, who: Mapping[str, object], what: Mapping[str, object]) -> None:
        """Count the event. Log it, if there were not too many of its kind in this minute."""
        self._counts[event] += 1
        now = self._clock()
        if now - self._since >= 60.0:
            self._begin_minute(now)
        self._lines[event] += 1
        if self._lines[event] <= LINES_PER_MINUTE:
            log.log(logging.WARNING, event.value, **{**who, **what})

    def _begin_minute(self, now: float) -> None:
        for event, lines in self._lines.items():
            if lines > LINES_PER_MINUTE:
                log.warning("more of these events", of=event.value, count=lines - LINES_PER_MINUTE)
            self._lines[event] = 0
        self._since = now

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("daveslist_security_events", "Events that may be an attack.", labels=["event"])
        for event, count in self._counts.items():
            family.add_metric([event.value], count)
        yield family
