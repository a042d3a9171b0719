"""Tests which channel serves a topic, by the patterns of the routes."""

from __future__ import annotations

import pytest

from gateway.protocol.topics import TopicRoutes

ROUTES = TopicRoutes(
    (("lobby", "lobby"), ("room:vip", "vip"), ("room:*", "room"), ("room:never", "never"), ("a*", "a"))
)


@pytest.mark.parametrize(
    ("topic", "target"),
    [
        ("lobby", "lobby"),
        ("lobby2", None),
        ("lobb", None),
        ("room:", "room"),
        ("room:1", "room"),
        ("room:1:2", "room"),
        ("room:*", "room"),
        ("room:vip", "vip"),
        ("room:vip2", "room"),
        ("room:never", "room"),
        ("room", None),
        ("Room:1", None),
        (" room:1", None),
        ("a", "a"),
        ("abc", "a"),
        ("", None),
        ("*", None),
    ],
)
def test_the_first_pattern_that_matches_wins(topic: str, target: str | None) -> None:
    assert ROUTES.match(topic) == target


@pytest.mark.parametrize("pattern", ["room:*:x", "*room", "**"])
def test_a_star_is_allowed_only_at_the_end(pattern: str) -> None:
    with pytest.raises(ValueError, match="last character"):
        TopicRoutes(((pattern, 1),))


def test_a_star_alone_matches_everything() -> None:
    assert TopicRoutes((("*", 1),)).match("") == 1
