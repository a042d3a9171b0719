"""Tests when a node takes another one for dead, from what it reads in the registry over time."""

from __future__ import annotations

from gateway.presence.liveness import Liveness, Observation
from gateway.presence.store import Registry

LEASE = 4.0


class Observer:
    """A node that reads the registry. The clocks of both show the same time."""

    def __init__(self) -> None:
        self.liveness = Liveness(LEASE)
        self.registered: int | None = None

    def look(self, now: float, others: dict[str, float]) -> Observation:
        """Register and look at the time `now`. `others` has the deadlines of the other nodes, in seconds."""
        deadlines = {node: int(deadline * 1000) for node, deadline in others.items()}
        deadline = int((now + LEASE) * 1000)
        registry = Registry(self.registered, deadline, int(now * 1000), {**deadlines, "me": deadline})
        self.registered = deadline
        return self.liveness.observe(registry, ["n2"], now)


def test_a_node_is_dead_when_its_deadline_has_passed() -> None:
    observer = Observer()
    for now in range(6):
        assert observer.look(now, {"n2": 5.5}).dead == ()
    assert observer.look(6, {"n2": 5.5}).dead == ("n2",)


def test_a_node_that_is_missing_in_the_registry_is_dead_a_lease_later() -> None:
    observer = Observer()
    for now in range(10):
        assert observer.look(now, {"n2": now + LEASE}).dead == ()
    for now in range(10, 14):
        assert observer.look(now, {}).dead == ()
    assert observer.look(14, {}).dead == ("n2",)


def test_a_node_that_registers_again_in_time_is_not_dead() -> None:
    observer = Observer()
    observer.look(0, {"n2": 4})
    assert observer.look(1, {}).dead == ()
    assert observer.look(2, {"n2": 6}).dead == ()
    assert observer.look(5, {}).dead == ()
    assert observer.look(8, {}).dead == ()
    assert observer.look(9, {}).dead == ("n2",)


def test_no_node_is_dead_for_a_lease_after_the_registry_was_away() -> None:
    observer = Observer()
    for now in range(5):
        observer.look(now, {"n2": now + LEASE})
    observer.liveness.missed()
    assert observer.look(7.5, {"n2": 6}).dead == ()
    assert observer.look(11, {"n2": 6}).dead == ()
    assert observer.look(12, {"n2": 6}).dead == ("n2",)


def test_no_node_is_dead_for_a_lease_after_this_node_was_late() -> None:
    observer = Observer()
    observer.look(0, {"n2": 4})
    late = observer.look(10, {"n2": 4})
    assert (late.late, late.lost, late.dead) == (True, False, ())
    assert observer.look(13, {"n2": 4}).dead == ()
    assert observer.look(14, {"n2": 4}).dead == ("n2",)


def test_a_registry_without_this_node_has_lost_data() -> None:
    observer = Observer()
    for now in range(6):
        assert not observer.look(now, {"n2": now + LEASE}).lost
    assert observer.liveness.is_complete(5)
    observer.registered = None
    seen = observer.look(6, {})
    assert (seen.lost, seen.late, seen.dead) == (True, False, ())
    assert not observer.liveness.is_complete(9)
    assert observer.look(9, {}).dead == ()
    assert observer.look(10, {}).dead == ("n2",)
    assert observer.liveness.is_complete(10)


def test_a_registry_restored_from_an_old_copy_has_lost_data() -> None:
    observer = Observer()
    for now in range(6):
        observer.look(now, {})
    observer.registered = 3000
    assert observer.look(6, {}).lost


def test_a_failed_look_is_not_taken_for_lost_data() -> None:
    observer = Observer()
    for now in range(6):
        observer.look(now, {})
    observer.liveness.missed()
    assert not observer.liveness.is_complete(6)
    assert not observer.look(7, {}).lost
    assert observer.liveness.is_complete(7)


def test_nodes_within_their_lease_are_alive() -> None:
    observer = Observer()
    observer.look(10, {"n2": 9.9, "n3": 10.1})
    assert observer.liveness.alive == {"me", "n3"}
