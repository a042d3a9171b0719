"""Tests when a gateway concludes from the rows of other processes that it has missed something, and since when."""

from __future__ import annotations

from gateway.lost_nodes import LostNodes
from shared.repositories.nodes import FORGOTTEN_SECONDS, NodeState

EVERY, SILENCE, STATEMENT = 3.0, 6.0, 10.0


class Gateway:
    """A gateway that looks at the rows once a second, by its own clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.gaps: list[float] = []
        self._lost_nodes = LostNodes(
            self.gaps.append,
            every_seconds=EVERY,
            silence_seconds=SILENCE,
            statement_seconds=STATEMENT,
            clock=lambda: self.now,
        )

    def sees(self, *nodes: NodeState, after: float = 1.0) -> list[float]:
        """Let the gateway look at these rows, and return the gaps in seconds that it reports."""
        self.now += after
        self._lost_nodes.observe(nodes)
        gaps, self.gaps[:] = list(self.gaps), []
        return gaps


def api(*, dead: float = -5.0, heard: float = 0.5, unheard: int = 0, name: str = "api") -> NodeState:
    return NodeState(name, dead, heard, unheard)


def test_nodes_that_live_and_are_heard_cause_no_gap() -> None:
    gateway = Gateway()
    assert [gateway.sees(api(), api(name="other")) for _ in range(10)] == [[]] * 10


def test_a_dead_node_causes_a_gap_and_another_one_after_its_last_possible_statement() -> None:
    gateway = Gateway()
    gateway.sees(api())
    seen = [gateway.sees(api(dead=second, heard=second + 4)) for second in range(30)]
    assert [second for second, gaps in enumerate(seen) if gaps] == [0, STATEMENT]
    assert seen[0] == [4 + SILENCE]
    assert seen[10] == [14 + SILENCE]


def test_a_node_that_came_and_died_between_two_looks_causes_a_gap() -> None:
    gateway = Gateway()
    gateway.sees()
    assert gateway.sees(api(dead=1, heard=2)) == [2 + SILENCE]


def test_a_living_node_that_was_late_causes_one_gap() -> None:
    gateway = Gateway()
    gateway.sees(api())
    assert gateway.sees(api(dead=1, heard=6)) == [6 + SILENCE]
    assert [gateway.sees(api()) for _ in range(10)] == [[]] * 10


def test_a_node_that_is_cut_off_causes_a_gap_each_time_it_publishes() -> None:
    gateway = Gateway()
    gateway.sees(api(unheard=0))
    assert gateway.sees(api(heard=2, unheard=5)) == [2 + SILENCE]
    assert [gateway.sees(api(heard=3 + second, unheard=5)) for second in range(10)] == [[]] * 10
    assert gateway.sees(api(heard=13, unheard=6)) == [13 + SILENCE]
    assert gateway.sees(api(heard=0, unheard=6), after=EVERY) == []


def test_gaps_have_a_smallest_interval_and_none_is_forgotten() -> None:
    gateway = Gateway()
    seen = [gateway.sees(api(heard=second, unheard=second)) for second in range(1, 13)]
    assert [second for second, gaps in enumerate(seen, 1) if gaps] == [1, 4, 7, 10]
    assert gateway.sees(api(heard=12, unheard=12)) == [12 + SILENCE], "the last messages are not forgotten"


def test_two_nodes_at_once_cause_one_gap_that_is_long_enough_for_both() -> None:
    gateway = Gateway()
    assert gateway.sees(api(dead=1, heard=3), api(name="other", heard=8, unheard=1)) == [8 + SILENCE]


def test_a_gateway_that_could_not_look_until_the_rows_were_deleted_catches_up() -> None:
    gateway = Gateway()
    gateway.sees(api())
    long = FORGOTTEN_SECONDS
    assert gateway.sees(after=long) == [long + SILENCE]
    assert gateway.sees(after=EVERY) == []
