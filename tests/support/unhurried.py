"""Settings with which no answer is shorter, and no count elsewhere, because the machine is busy.

An API answers with less when something takes too long: it counts fewer listings, corrects no words, and counts requests
without Redis. The tests of these limits have settings of their own.
"""

from __future__ import annotations

from dataclasses import replace

from shared.settings import Settings


def unhurried(settings: Settings) -> Settings:
    """The settings with time enough for a process that gets a CPU only now and then."""
    return replace(settings, facets_seconds=30.0, correction_seconds=30.0, rate_limit_timeout_seconds=10.0)
