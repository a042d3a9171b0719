"""The refs of presences are short, URL-safe, unique and ordered by time."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.presence.refs import Refs


def test_a_ref_is_sixteen_url_safe_characters() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", Refs("n1")())


@given(times=st.lists(st.integers(0, 2**60), max_size=50))
def test_refs_of_a_node_ascend_even_if_its_clock_does_not(times: list[int]) -> None:
    clock = iter(times)
    refs = Refs("n1", lambda: next(clock))
    made = [refs() for _ in times]
    assert made == sorted(set(made))


def test_two_nodes_never_make_the_same_ref() -> None:
    first, second = Refs("n1", lambda: 0), Refs("n2", lambda: 0)
    assert not {first() for _ in range(1000)} & {second() for _ in range(1000)}


@given(st.tuples(st.integers(0, 2**60), st.integers(0, 2**60)))
def test_refs_of_two_nodes_sort_by_their_times(times: tuple[int, int]) -> None:
    one, other = (time // 1_000_000 * 1_000_000 for time in times)
    first, second = Refs("n1", lambda: one)(), Refs("n2", lambda: other)()
    assert one == other or (first < second) == (one < other)
