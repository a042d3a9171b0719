"""The state that the steps of a walk share, and the lines that report each step."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.try_deployment.neighbour import Neighbour
from tests.try_deployment.stack import Stack
from tests.try_deployment.visit import Visitors

LONGEST = 1000
"""The most characters of the report on a step."""
Step = Callable[["Walk"], str]
"""A step returns its findings in a few words with figures, and raises AssertionError if something is wrong."""


@dataclass
class Walk:
    """One deployment, and the people who visit it."""

    stack: Stack
    words: str = field(default_factory=lambda: f"words-{secrets.token_hex(12)}")
    """These words are in every message. If a log contains them, it contains a message."""
    people: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    """The paths of the pictures that were uploaded."""
    logged_secrets: dict[str, Any] = field(default_factory=dict)
    neighbours: dict[str, Neighbour] = field(default_factory=dict)
    _visitors: Visitors | None = None

    @property
    def visitors(self) -> Visitors:
        assert self._visitors is not None, "there are no visitors"
        return self._visitors

    def visitors_come(self, image: str | None = None) -> None:
        self._visitors = Visitors(self.stack, self.words, image).__enter__()

    def visitors_leave(self) -> None:
        if self._visitors is not None:
            self._visitors.__exit__(None, None, None)
            self._visitors = None

    def neighbours_leave(self) -> None:
        for neighbour in self.neighbours.values():
            neighbour.remove()


class TooLong(AssertionError):
    """Everything is right except the time that it took."""


def in_time(seconds: float, goal: float, text: str) -> None:
    """Raise TooLong with this text if the seconds exceed the goal."""
    if seconds > goal:
        raise TooLong(f"{seconds:.1f} s, where {goal:.0f} s is the goal: {text}")


class Report:
    """Prints a line for each step, and one for the whole walk."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._started = time.monotonic()
        self.held = 0
        self.failed: list[str] = []

    def take(self, name: str, step: Step, walk: Walk) -> bool:
        """Take a step. Returns whether it succeeded. Other errors than AssertionError end the walk."""
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
        """The line for the whole walk; `left` is the number of steps that were not taken."""
        minutes, seconds = divmod(round(time.monotonic() - self._started), 60)
        time_taken = f"{minutes} min {seconds} s"
        if not self.failed and not left:
            return f"all {self.held} steps held, in {time_taken}"
        untaken = f", {left} not taken" if left else ""
        return f"{self.held} steps held, {len(self.failed)} failed ({'; '.join(self.failed)}){untaken}, in {time_taken}"


def _in_two_tries(step: Step, walk: Walk) -> str:
    """Take a step again if it took too long: the machine may have been busy. The report says that it took two tries."""
    try:
        return step(walk)
    except TooLong as first:
        said = f"(at first {first})"
    try:
        return f"{step(walk)} {said}"
    except AssertionError as second:
        raise AssertionError(f"{second} {said}") from None
