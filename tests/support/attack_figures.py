"""Lists what the attacks of tests/attacks cost. Each of these tests records its lines as a property of its report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest

FIGURES = "attack"
"""The name of the property."""


def attack_figures(reports: Mapping[str, Iterable[object]]) -> Iterator[str]:
    """The lines of all reports, which pytest groups by outcome. It is empty if nothing was attacked."""
    seen = set()
    for report in (one for group in reports.values() for one in group):
        if isinstance(report, pytest.TestReport) and report.nodeid not in seen:
            lines = [str(value) for name, value in report.user_properties if name == FIGURES]
            if lines:
                seen.add(report.nodeid)
                yield from lines
