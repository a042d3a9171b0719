"""Lists the tests that a run left out, grouped by reason and then by file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import pytest


def left_out(skipped: Iterable[pytest.TestReport]) -> Iterator[str]:
    """The lines of the list. It is empty if no test was skipped."""
    files_by_reason: dict[str, Counter[str]] = defaultdict(Counter)
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        files_by_reason[reason.removeprefix("Skipped: ")][report.nodeid.partition("::")[0]] += 1
    for reason, files in sorted(files_by_reason.items()):
        yield f"left out ({reason}):"
        for file, count in sorted(files.items()):
            yield f"    {file} ({count} {'test' if count == 1 else 'tests'})"
