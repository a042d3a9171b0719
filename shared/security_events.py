"""Tells the operator of events that may be an attack: each has a log line with who did what, and a counter for alerts.

OWASP ASVS 5.0, V16.3. The line has the request's id, which the request's own line has too. Lines are bounded, because
an attack makes many: past the bound, events are only counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.lines_per_minute import LinesPerMinute
from shared.logs import log_of

log = log_of(__name__)


class SecurityEvent(StrEnum):
    """The events, by their names in the log and in metrics."""

    LOGIN_FAILED = "login_failed"
    """A wrong address or password, a wrong current password, or a refresh token that is not valid."""
    ACCESS_REFUSED = "access_refused"
    """A user asked for what they may not do, or is banned."""
    LIMITED = "limited"
    """A rate limit was used up."""
    PASSWORD_CHANGED = "password_changed"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    """A second factor was turned on or off, or got new recovery codes."""
    RECOVERY_CODE_USED = "recovery_code_used"
    PASSKEY_CHANGED = "passkey_changed"
    """A passkey was added or removed."""
    ROLE_CHANGED = "role_changed"


class SecurityEvents(Collector):
    """Counts and logs the events of a process, which has one instance. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = dict.fromkeys(SecurityEvent, 0)
        self._lines: LinesPerMinute[SecurityEvent] = LinesPerMinute(_tell_left_out, clock)

    def tell(self, event: SecurityEvent, who: Mapping[str, object], what: Mapping[str, object]) -> None:
        """Count the event. Log it, if there were not too many of its kind in this minute."""
        self._counts[event] += 1
        if self._lines.take(event):
            log.log(logging.WARNING, event.value, **{**who, **what})

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("daveslist_security_events", "Events that may be an attack.", labels=["event"])
        for event, count in self._counts.items():
            family.add_metric([event.value], count)
        yield family


def _tell_left_out(event: SecurityEvent, count: int) -> None:
    log.warning("more of these events", of=event.value, count=count)
