"""Patterns that people type when they are asked for something that nobody can guess. Pure."""

from __future__ import annotations

from itertools import pairwise

_MOST_IN_SEQUENCE = 2 / 3


def repeats(text: str) -> bool:
    """True for a pattern that comes at least twice, also if its last separator is missing: `word-word`."""
    return any(text[length:] == text[:-length] for length in range(1, (len(text) + 1) // 2 + 1))


def is_sequence(text: str) -> bool:
    """True if most characters are the same as the one before, or its neighbour: `abcdefgh`, `99887766`."""
    near = sum(abs(ord(one) - ord(other)) <= 1 for one, other in pairwise(text))
    return near > _MOST_IN_SEQUENCE * (len(text) - 1)
