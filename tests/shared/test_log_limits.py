"""Nobody can fill the disk with lines of the log, and nobody's flood hides the lines about others."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest

from shared.log_limits import REQUEST, LineBudget, LineLimit
from shared.logs import configure_logs, log_of
from shared.settings import Settings

SETTINGS = Settings(log_lines_per_second=5.0, log_line_burst=10, log_lines_per_user_second=1.0, log_line_user_burst=3)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def record(event: str, name: str = "a.module", level: int = logging.WARNING, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "", 0, event, (), None)
    made.fields = fields
    return made


def written(limit: LineLimit, count: int, event: str = "crashed", **more: Any) -> list[logging.LogRecord]:
    records = [record(event, **more) for _ in range(count)]
    return [one for one in records if limit(one)]


def left_out(one: logging.LogRecord) -> int:
    return int(one.fields.get("left_out", 0))  # type: ignore[attr-defined]


def test_lines_about_one_event_are_limited_and_the_others_are_counted() -> None:
    clock = Clock()
    limit = LineLimit(SETTINGS, clock)
    assert len(written(limit, 1000)) == 10
    clock.now += 1.0
    lines = written(limit, 1000)
    assert [left_out(line) for line in lines] == [990, 0, 0, 0, 0]
    clock.now += 1.0
    assert [left_out(line) for line in written(limit, 2)] == [995, 0]


def test_another_event_and_another_module_have_their_own_lines() -> None:
    limit = LineLimit(SETTINGS, Clock())
    written(limit, 1000)
    assert len(written(limit, 5, "another")) == 5
    assert len(written(limit, 5, name="b.module")) == 5


def test_one_user_cannot_use_up_the_lines_about_the_others() -> None:
    clock = Clock()
    limit = LineLimit(SETTINGS, clock)
    assert len(written(limit, 1000, user_id=1)) == 3
    (line,) = written(limit, 1, user_id=2)
    assert left_out(line) == 997
    clock.now += 2.0
    assert len(written(limit, 1000, user_id=1)) == 2


def test_debug_lines_and_lines_of_requests_are_not_counted_here() -> None:
    limit = LineLimit(SETTINGS, Clock())
    assert len(written(limit, 1000, level=logging.DEBUG)) == 1000
    assert len(written(limit, 1000, REQUEST[1], name=REQUEST[0], level=logging.INFO)) == 1000


def test_the_memory_of_the_limit_is_bounded_whatever_is_logged() -> None:
    clock = Clock()
    budget = LineBudget((5.0, 10), (1.0, 3), clock)
    for number in range(5000):
        budget.take(f"event {number}", number)
    assert max(len(budget._events), len(budget._sources)) <= 1000
    # All sources that are not remembered share one budget.
    assert budget.take("event 4999", 7000) is None
    clock.now += 60.0
    for number in range(9000, 10_000):
        clock.now += 60.0
        assert budget.take(f"event {number}", number) is not None
    assert max(len(budget._events), len(budget._sources)) <= 3


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with redirect_stderr(io.StringIO()) as stream:
        configure_logs(Settings())
        yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def test_the_configured_log_is_limited_also_for_libraries(stderr: io.StringIO) -> None:
    for number in range(5000):
        log_of("a.module").warning("crashed", number=number)
        logging.getLogger("library").error("could not read %s", number)
    lines = [json.loads(line) for line in stderr.getvalue().splitlines()]
    # A slow machine gives some more lines: 20 a second of each event.
    counts = [sum(line["logger"] == name for line in lines) for name in ("a.module", "library")]
    assert all(200 <= count < 1000 for count in counts)
