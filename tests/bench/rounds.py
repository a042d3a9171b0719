"""Measures several things in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from tests.bench.load_run import Measured

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """How often, how long, and with how many."""

    rounds: int
    seconds: float
    users: int
    """Connections of a part that opens many."""


FULL = Effort(rounds=5, seconds=2.0, users=10_000)
QUICK = Effort(rounds=2, seconds=1.0, users=2_000)


async def interleaved(rounds: int, measurements: dict[str, Callable[[], Awaitable[T]]]) -> dict[str, list[T]]:
    """One of each, then the next round; the results of each by its name."""
    results: dict[str, list[T]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            results[name].append(await measure())
    return results


class Rates:
    """What the rounds of one measurement say about one kind of operation."""

    def __init__(self, runs: list[Measured], count: Callable[[Measured], int]) -> None:
        self.each = [count(run) / run.seconds for run in runs]
        self.per_second = median(self.each)
        self.costs = [run.server_cpu / count(run) * 1e6 for run in runs]
        self.cost = median(self.costs)
        """Microseconds of the servers' CPU for one."""
        self.load = median(run.own_cpu / run.seconds for run in runs)
        self.alone = median(count(run) / run.own_cpu for run in runs)
        """What the load generator would do with a core of its own."""
