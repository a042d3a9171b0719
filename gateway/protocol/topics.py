"""Topic patterns: which channel handles a topic. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Route_co = TypeVar("Route_co", covariant=True)


class TopicRoutes(Generic[Route_co]):
    """Patterns in a fixed order. A pattern is a topic, or `prefix*` for all topics that begin with the prefix.

    The first pattern that matches wins, as in Phoenix.Socket.
    """

    def __init__(self, routes: Iterable[tuple[str, Route_co]]) -> None:
        # Of each pattern its text, whether that is a prefix, and the target: every join goes through them.
        self._routes: list[tuple[str, bool, Route_co]] = []
        for pattern, target in routes:
            text = pattern.removesuffix("*")
            if "*" in text:
                raise ValueError(f"a * must be the last character of a pattern: {pattern!r}")
            self._routes.append((text, text != pattern, target))

    @property
    def targets(self) -> tuple[Route_co, ...]:
        """What the patterns stand for, in their order."""
        return tuple(target for _, _, target in self._routes)

    def match(self, topic: str) -> Route_co | None:
        """Returns the route of the first pattern that matches the topic; None if none does."""
        for text, is_prefix, target in self._routes:
            if topic.startswith(text) if is_prefix else topic == text:
                return target
        return None
