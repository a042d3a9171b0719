"""The side of a car by its body, as points in metres: x from the front, y from the ground. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A car from its left side, with its front to the left. The roof of a convertible is None."""

    length: float
    hood: float
    """The height of the hood where the windscreen begins."""
    cowl: float
    """How far behind the front the windscreen begins."""
    roof: tuple[float, float, float] | None
    """Where the roof begins and ends, and its height."""
    tail: tuple[float, float]
    """Where the glass of the rear ends, and its height."""
    rear: float
    """The height of the rear end."""
    wheels: tuple[float, float]
    """Where the wheels' centres are."""
    wheel: float = 0.33
    """The radius of a wheel."""
    clearance: float = 0.24
    windows: int = 2
    """The side windows; the doors are as many."""
    glass_end: float = 1.0
    """How much of the length of the roof has side windows."""

    @property
    def height(self) -> float:
        return self.roof[2] if self.roof else self.hood + 0.3

    def outline(self) -> list[Point]:
        """Returns the body's outline from the lower front over the roof to the lower rear."""
        front, end, low = self.hood - 0.1, self.length, self.clearance
        points = [(0.1, low), (0.0, low + 0.12), (0.02, front - 0.18), (0.12, front - 0.02), (0.3, front + 0.02)]
        points += [(self.cowl - 0.05, self.hood), (self.cowl, self.hood)]
        if self.roof:
            begin, stop, height = self.roof
            points += [(begin - 0.08, height - 0.05), (begin + 0.15, height)]
            points += [((begin + stop) / 2, height + 0.02), (stop - 0.15, height), (stop, height - 0.04)]
        x, y = self.tail
        points += [(x, y), (x + 0.02, y), (end - 0.12, self.rear), (end, self.rear - 0.12), (end, low + 0.15)]
        return [*points, (end - 0.12, low)]

    def glass(self) -> list[list[Point]]:
        """Returns the side windows, from the front to the rear."""
        if self.roof is None:
            return []
        begin, stop, height = self.roof
        top, bottom = height - 0.09, self.hood + 0.01
        back = self.tail[0] - 0.14
        first, last = self.cowl + 0.2, begin + (stop - begin) * self.glass_end
        low_end = min(back, last + (back - stop if self.glass_end == 1.0 else 0))
        found = []
        for number in range(self.windows):
            left, right = (
                (begin + 0.1 + (last - begin - 0.15) * share, first + (low_end - first) * share)
                for share in (number / self.windows, (number + 1) / self.windows)
            )
            gap = 0.035
            upper, lower = (left[0] + gap, right[0] - gap), (left[1] + gap, right[1] - gap)
            if number > 0:
                # Pillars between doors are upright.
                upper = (lower[0], upper[1])
            if number < self.windows - 1:
                upper = (upper[0], lower[1])
            found.append([(lower[0], bottom), (upper[0], top), (upper[1], top), (lower[1], bottom)])
        return found

    def doors(self) -> Sequence[float]:
        """Returns where the gaps between doors are."""
        windows = self.glass()
        if not windows:
            return (self.cowl + 0.1, self.cowl + 1.25)
        edges = [windows[0][0][0] - 0.12, *(window[3][0] + 0.035 for window in windows)]
        # A single door ends before the rear wheel, also if its window does not.
        return edges if self.windows > 1 else (edges[0], min(edges[1], edges[0] + 1.3))


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "sedan": Shape(
            length=4.7, hood=0.95, cowl=1.3, roof=(2.05, 3.15, 1.45), tail=(3.95, 1.04), rear=1.0, wheels=(0.92, 3.72)
        ),
        "hatchback": Shape(
            length=4.15, hood=0.98, cowl=1.05, roof=(1.8, 3.35, 1.5), tail=(3.98, 1.08), rear=0.98, wheels=(0.85, 3.38)
        ),
        "wagon": Shape(
            length=4.75, hood=0.96, cowl=1.25, roof=(2.0, 4.1, 1.49), tail=(4.6, 1.05), rear=0.98, wheels=(0.92, 3.7),
            windows=3,
        ),
        "suv": Shape(
            length=4.65, hood=1.16, cowl=1.2, roof=(1.85, 3.95, 1.78), tail=(4.48, 1.22), rear=1.12, wheels=(0.9, 3.6),
            wheel=0.4, clearance=0.34, windows=3,
        ),
        "minivan": Shape(
            length=4.95, hood=1.06, cowl=0.9, roof=(1.85, 4.4, 1.78), tail=(4.82, 1.15), rear=1.05, wheels=(0.95, 3.9),
            wheel=0.35, windows=3,
        ),
        "van": Shape(
            length=5.7, hood=1.3, cowl=0.75, roof=(1.45, 5.5, 2.45), tail=(5.64, 1.6), rear=1.3, wheels=(1.0, 4.5),
            wheel=0.36, clearance=0.3, windows=1, glass_end=0.3,
        ),
        "pickup": Shape(
            length=5.5, hood=1.18, cowl=1.45, roof=(2.05, 3.2, 1.82), tail=(3.5, 1.2), rear=1.2, wheels=(1.0, 4.35),
            wheel=0.41, clearance=0.38,
        ),
        "coupe": Shape(
            length=4.45, hood=0.9, cowl=1.45, roof=(2.2, 2.85, 1.32), tail=(3.9, 0.98), rear=0.95, wheels=(0.88, 3.5),
            wheel=0.35, clearance=0.19, windows=1,
        ),
        "convertible": Shape(
            length=4.2, hood=0.88, cowl=1.4, roof=None, tail=(2.95, 0.9), rear=0.88, wheels=(0.85, 3.3), clearance=0.19,
        ),
    }
)  # fmt: skip


def shape_of(body: str | None) -> Shape:
    return SHAPES.get(body or "", SHAPES["sedan"])


def rounded(points: Sequence[Point], times: int = 2) -> list[Point]:
    """Returns the closed outline with its corners cut again and again (Chaikin's algorithm)."""
    now = list(points)
    for _ in range(times):
        corners: list[Point] = []
        for (x, y), (right, upper) in zip(now, [*now[1:], now[0]], strict=True):
            corners += [(0.8 * x + 0.2 * right, 0.8 * y + 0.2 * upper), (0.2 * x + 0.8 * right, 0.2 * y + 0.8 * upper)]
        now = corners
    return now
