"""The table that the benchmark prints, one row at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

WIDTHS = (54, 14, 11, 9, 46)
HEAD = ("what", "measured", "server CPU", "load CPU", "compared, and the goal")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. `cost` is the servers' CPU time for one operation in microseconds, `load` the share of its core that the
    load generator used."""

    what: str
    value: str
    cost: float | None = None
    load: float | None = None
    compared: str = ""

    def __str__(self) -> str:
        cost = "" if self.cost is None else f"{self.cost:,.1f} us"
        load = "" if self.load is None else f"{self.load:.0%}"
        return line(self.what, self.value, cost, load, self.compared)


def line(*cells: str) -> str:
    first, *rest = cells
    *middle, last = rest
    padded = [first.ljust(WIDTHS[0]), *(cell.rjust(width) for cell, width in zip(middle, WIDTHS[1:], strict=False))]
    return "  ".join([*padded, last]).rstrip()


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The median of the rounds' ratios. The two values of a round were measured one after the other."""
    return median(one / other for one, other in zip(ones, others, strict=True))


def goal(value: float, bound: float, *, at_most: bool = False, show: Callable[[float], str] = "{:.2f}".format) -> str:
    """The value with its goal, such as `1.83 (goal: at least 1.80, met)`."""
    is_met = value <= bound if at_most else value >= bound
    words = "at most" if at_most else "at least"
    return f"{show(value)} (goal: {words} {show(bound)}, {met(is_met)})"


def met(is_met: bool) -> str:
    """What the table says of a goal."""
    return "met" if is_met else "MISSED"


def thousands(value: float) -> str:
    return f"{value:,.0f}"
