"""Measures several things in turn, so that other work on the machine affects all of them equally."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from tests.bench.load_run import Measured

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """The number of rounds, the seconds of each, and the number of users."""

    rounds: int
    seconds: float
    users: int
    """The number of connections in the parts that open many."""


FULL = Effort(rounds=5, seconds=2.0, users=10_000)
QUICK = Effort(rounds=2, seconds=1.0, users=2_000)


async def interleaved(rounds: int, measurements: dict[str, Callable[[], Awaitable[T]]]) -> dict[str, list[T]]:
    """Run every measurement once in each round. Returns the results by the name of the measurement."""
    results: dict[str, list[T]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            results[name].append(await measure())
    return results


class Rates:
    """The rates of one kind of operation in the rounds of one measurement."""

    def __init__(self, runs: list[Measured], count: Callable[[Measured], int]) -> None:
        self.each = [count(run) / run.seconds for run in runs]
        self.per_second = median(self.each)
        self.costs = [run.server_cpu / count(run) * 1e6 for run in runs]
        self.cost = median(self.costs)
        """Microseconds of the servers' CPU time for one operation."""
        self.load = median(run.own_cpu / run.seconds for run in runs)
        self.alone = median(count(run) / run.own_cpu for run in runs)
        """Operations a second that the load generator could do with a core of its own."""
