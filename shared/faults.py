"""Counts the faults that a process logs: lines of level ERROR, and warnings with a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class Faults(Collector):
    """A process has one, because it has one log. Also lines that are left out of the log are counted."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, record: logging.LogRecord) -> bool:
        """A filter for the log's handler, which keeps every record."""
        if record.levelno >= logging.ERROR or (record.levelno == logging.WARNING and record.exc_info):
            self.count += 1
        return True

    def collect(self) -> Iterator[Metric]:
        yield faults_metric(self.count)


def faults_metric(count: int) -> Metric:
    return CounterMetricFamily("daveslist_faults", "Faults of the program that were logged", value=count)


FAULTS = Faults()
