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
        self._routes = tuple(routes)
        for pattern, _ in self._routes:
            if "*" in pattern[:-1]:
                raise ValueError(f"a * must be the last character of a pattern: {pattern!r}")

    def match(self, topic: str) -> Route_co | None:
        """Returns the route of the first pattern that matches the topic; None if none does."""
        for pattern, target in self._routes:
            if topic.startswith(pattern[:-1]) if pattern.endswith("*") else topic == pattern:
                return target
        return None
