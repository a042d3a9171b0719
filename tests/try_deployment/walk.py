"""What the steps of a walk share, and the lines that say how each of them went."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.try_deployment.stack import Stack
from tests.try_deployment.visit import Visitors

LONGEST = 1000
"""Characters of what is said of a step."""
Step = Callable[["Walk"], str]
"""Returns what it found, in a few words with figures. Raises AssertionError where something does not hold."""


@dataclass
class Walk:
    """One deployment, and the people who visit it."""

    stack: Stack
    words: str = field(default_factory=lambda: f"words-{secrets.token_hex(12)}")
    """They are in every message, so that a log which has them has a message."""
    people: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    """The paths of those that were handed in."""
    logged_secrets: dict[str, Any] = field(default_factory=dict)
    _visitors: Visitors | None = None

    @property
    def visitors(self) -> Visitors:
        assert self._visitors is not None, "there are no visitors"
        return self._visitors

    def visitors_come(self) -> None:
        self._visitors = Visitors(self.stack, self.words).__enter__()

    def visitors_leave(self) -> None:
        if self._visitors is not None:
            self._visitors.__exit__(None, None, None)
            self._visitors = None


class TooLong(AssertionError):
    """All is as it should be, but for the time that it took."""


def in_time(seconds: float, goal: float, text: str) -> None:
    """Raises TooLong, with what was found."""
    if seconds > goal:
        raise TooLong(f"{seconds:.1f} s, where {goal:.0f} s is the goal: {text}")


class Report:
    """Prints a line for each step, and one for all."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._started = time.monotonic()
        self.held = 0
        self.failed: list[str] = []

    def take(self, name: str, step: Step, walk: Walk) -> bool:
        """Whether it held. What it raises beside AssertionError is a fault of the walk, and ends it."""
        started = time.monotonic()
        try:
            found = _in_two_tries(step, walk)
        except AssertionError as failure:
            self.failed.append(name)
            self._show(self._line("FAILED", time.monotonic() - started, name, str(failure) or repr(failure)))
            return False
        self.held += 1
        self._show(self._line("held", time.monotonic() - started, name, found))
        return True

    @staticmethod
    def _line(verdict: str, seconds: float, name: str, text: str) -> str:
        return f"{verdict:6} {seconds:5.1f} s  {name}: {' '.join(text.split())[:LONGEST]}"

    def summary(self, left: int) -> str:
        """`left` is how many steps were not taken."""
        minutes, seconds = divmod(round(time.monotonic() - self._started), 60)
        time_taken = f"{minutes} min {seconds} s"
        if not self.failed and not left:
            return f"all {self.held} steps held, in {time_taken}"
        untaken = f", {left} not taken" if left else ""
        return f"{self.held} steps held, {len(self.failed)} failed ({'; '.join(self.failed)}){untaken}, in {time_taken}"


def _in_two_tries(step: Step, walk: Walk) -> str:
    """What took too long once may have been in the way of something else on this machine; that it did is said."""
    try:
        return step(walk)
    except TooLong as first:
        said = f"(at first {first})"
    try:
        return f"{step(walk)} {said}"
    except AssertionError as second:
        raise AssertionError(f"{second} {said}") from None
