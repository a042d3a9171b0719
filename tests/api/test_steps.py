"""Work in the background goes on after any failure, pauses only when nothing is left, and stops when it is told to."""

from __future__ import annotations

import asyncio
import logging

import pytest

from api import steps
from api.steps import keep_stepping
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable
from tests.support.waiting import PATIENCE_SECONDS

log = log_of("api.steps")
FAILURE = "nothing could be done"


class Work:
    """Steps with these outcomes: whether there may be more, or what is raised. After the last one it stops."""

    def __init__(self, *outcomes: bool | Exception) -> None:
        self._outcomes = list(outcomes)
        self.stopping = asyncio.Event()
        self.looked = asyncio.Event()
        self.looked_before: list[bool] = []

    async def step(self) -> bool:
        self.looked_before.append(self.looked.is_set())
        outcome = self._outcomes.pop(0)
        if not self._outcomes:
            self.stopping.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def keep(work: Work, seconds: float, *, waits_first: bool = False) -> None:
    stopping, looked = work.stopping, work.looked
    async with asyncio.timeout(PATIENCE_SECONDS):
        await keep_stepping(
            work.step, seconds, log=log, failure=FAILURE, waits_first=waits_first, stopping=stopping, looked=looked
        )


async def test_steps_follow_each_other_at_once_as_long_as_there_may_be_more() -> None:
    work = Work(True, True, True)
    await keep(work, 1_000_000.0)
    assert work.looked_before == [False, False, False]


async def test_a_failure_is_logged_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(steps, "PAUSE_SECONDS", 0.001)
    work = Work(DatabaseUnavailable("away"), ValueError("odd"), True, False)
    with caplog.at_level(logging.DEBUG, logger="api"):
        await keep(work, 0.001)
    assert work.looked_before == [False, True, True, True]
    # That the database is away is no news of this work.
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("DEBUG", FAILURE), ("ERROR", FAILURE)]


async def test_after_a_failure_the_next_step_waits_at_least_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSE_SECONDS", 1_000_000.0)
    work = Work(ValueError("odd"), False)
    task = asyncio.create_task(keep(work, 0.0))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await work.looked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert work.looked_before == [False]
    work.stopping.set()
    await task


@pytest.mark.parametrize("waits_first", [True, False])
async def test_a_stop_ends_any_wait(waits_first: bool) -> None:
    work = Work(False, False)
    task = asyncio.create_task(keep(work, 1_000_000.0, waits_first=waits_first))
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(work.looked_before) == (0 if waits_first else 1)
    work.stopping.set()
    await task
