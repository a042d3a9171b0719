"""A refused origin is logged; the number of such lines in a minute is limited."""

from __future__ import annotations

import pytest

from shared.lines_per_minute import LINES_PER_MINUTE
from shared.logs import log_of
from shared.refused_origins import RefusedOrigins


def test_lines_in_a_minute_are_limited_and_further_refusals_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refused = RefusedOrigins(log_of("test"), lambda: now)
    for number in range(1000):
        refused.tell(f"https://{number}.example")
    assert len(caplog.records) == LINES_PER_MINUTE
    now = 60.0
    refused.tell("https://" + "x" * 5000)
    *_, count, line = caplog.records
    assert count.fields == {"count": 1000 - LINES_PER_MINUTE}  # type: ignore[attr-defined]
    assert line.fields == {"origin": "https://" + "x" * 192}  # type: ignore[attr-defined]
