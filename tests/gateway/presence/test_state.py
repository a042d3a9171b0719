"""Tests the presence of one topic, without a loop or a clock: diffs, chains of changes, and that all nodes agree."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.presence.state import Change, Diff, Entry, Part, TopicState
from gateway.presence.store import Write
from tests.gateway.presence.phoenix_client import PhoenixClient, in_order
from tests.gateway.presence.unreliable_store import UnreliableStore
from tests.support.examples import examples

TOPIC = "room"
KEYS = ["alice", "bob", "", "__proto__", "constructor", "ключ \U0001f697", "k" * 5000]


def entry(key: str, ref: str, **meta: Any) -> Entry:
    return Entry(key, {**meta, "phx_ref": ref})


def test_a_tracked_presence_joins_with_its_ref() -> None:
    state = TopicState("n1")
    diff = state.track("alice", "r1", {"s": 1})
    assert diff.payload() == {"joins": {"alice": {"metas": [{"s": 1, "phx_ref": "r1"}]}}, "leaves": {}}
    assert state.list() == {"alice": {"metas": [{"s": 1, "phx_ref": "r1"}]}}


def test_an_update_is_one_diff_with_the_new_and_the_old_meta() -> None:
    state = TopicState("n1")
    state.track("bob", "r1", {"s": 2})
    diff = state.update("r1", "r2", {"s": 4})
    assert diff.payload() == {
        "joins": {"bob": {"metas": [{"s": 4, "phx_ref": "r2", "phx_ref_prev": "r1"}]}},
        "leaves": {"bob": {"metas": [{"s": 2, "phx_ref": "r1"}]}},
    }
    assert state.list() == {"bob": {"metas": [{"s": 4, "phx_ref": "r2", "phx_ref_prev": "r1"}]}}


def test_a_meta_cannot_forge_its_refs() -> None:
    state = TopicState("n1")
    state.track("bob", "r1", {"phx_ref": "forged"})
    state.update("r1", "r2", {"phx_ref": "forged", "phx_ref_prev": "forged"})
    assert state.list() == {"bob": {"metas": [{"phx_ref": "r2", "phx_ref_prev": "r1"}]}}


def test_metas_of_one_key_are_oldest_first() -> None:
    state = TopicState("n1")
    state.track("alice", "r3", {})
    state.receive("n2", Change(1, 0, (entry("alice", "r2"), entry("bob", "r1"))))
    assert state.list() == {
        "bob": {"metas": [{"phx_ref": "r1"}]},
        "alice": {"metas": [{"phx_ref": "r2"}, {"phx_ref": "r3"}]},
    }
    assert list(state.list()) == ["bob", "alice"]


def test_untracking_one_of_two_metas_keeps_the_other() -> None:
    state = TopicState("n1")
    state.track("alice", "r1", {})
    state.track("alice", "r2", {})
    assert state.untrack("r1").payload() == {"joins": {}, "leaves": {"alice": {"metas": [{"phx_ref": "r1"}]}}}
    assert state.list() == {"alice": {"metas": [{"phx_ref": "r2"}]}}


def test_an_unknown_ref_cannot_be_updated_or_untracked() -> None:
    state = TopicState("n1")
    with pytest.raises(KeyError):
        state.update("r1", "r2", {})
    with pytest.raises(KeyError):
        state.untrack("r1")
    assert state.list() == {}


@pytest.mark.parametrize("key", KEYS)
def test_any_text_is_a_key(key: str) -> None:
    state = TopicState("n1")
    assert state.track(key, "r1", {}).payload()["joins"] == {key: {"metas": [{"phx_ref": "r1"}]}}
    assert state.list() == {key: {"metas": [{"phx_ref": "r1"}]}}


def test_a_presence_that_came_and_went_between_two_changes_is_in_neither() -> None:
    state = TopicState("n1")
    state.track("alice", "r1", {})
    state.untrack("r1")
    assert state.take_change(1) is None
    assert not state.has_own


def test_a_chain_ends_with_the_last_entry_and_a_new_one_starts() -> None:
    state = TopicState("n1")
    state.track("alice", "r1", {})
    assert state.take_change(4) == Change(4, 0, (entry("alice", "r1"),))
    state.untrack("r1")
    assert state.take_change(7) == Change(7, 4, (), ("r1",))
    assert state.sequence == 0
    state.track("alice", "r2", {})
    assert state.take_change(9) == Change(9, 0, (entry("alice", "r2"),))


def test_a_known_change_does_nothing() -> None:
    state = TopicState("n1")
    state.load({"n2": Part(5, (entry("alice", "r1"),))}, {"n2"})
    assert state.receive("n2", Change(5, 4, (entry("alice", "r1"),))) == Diff()
    assert state.receive("n2", Change(5, 5)) == Diff()


def test_a_change_after_a_missed_one_asks_for_the_snapshot() -> None:
    state = TopicState("n1")
    state.receive("n2", Change(1, 0, (entry("alice", "r1"),)))
    assert state.receive("n2", Change(3, 2, (), ("r1",))) is None
    assert state.list() == {"alice": {"metas": [{"phx_ref": "r1"}]}}


def test_a_new_chain_removes_the_entries_of_the_old_one() -> None:
    state = TopicState("n1")
    state.receive("n2", Change(1, 0, (entry("alice", "r1"),)))
    assert state.receive("n2", Change(5, 0, (entry("bob", "r2"),))) == Diff(
        (entry("bob", "r2"),), (entry("alice", "r1"),)
    )


def test_missing_entries_are_kept_until_the_store_is_trusted() -> None:
    state = TopicState("n1")
    state.receive("n2", Change(1, 0, (entry("alice", "r1"),)))
    kept = state.load({}, {"n2"})
    assert (kept.diff, kept.unconfirmed) == (Diff(), frozenset({"n2"}))
    gone = state.load({}, {"n2"}, trusted={"n2"})
    assert (gone.diff, gone.unconfirmed) == (Diff((), (entry("alice", "r1"),)), frozenset())


def test_stored_entries_of_a_dead_node_are_not_shown() -> None:
    state = TopicState("n1")
    loaded = state.load({"n2": Part(5, (entry("alice", "r1"),))}, {"n1"})
    assert (loaded.diff, loaded.ignored, state.list()) == (Diff(), frozenset({"n2"}), {})


def test_a_nodes_own_entries_in_a_snapshot_are_ignored() -> None:
    state = TopicState("n1")
    state.track("alice", "r1", {})
    assert state.load({"n1": Part(5, (entry("ghost", "r0"),))}, {"n1"}).diff == Diff()
    assert state.list() == {"alice": {"metas": [{"phx_ref": "r1"}]}}


def test_entries_of_a_dead_node_leave_once() -> None:
    state = TopicState("n1")
    state.receive("n2", Change(1, 0, (entry("alice", "r1"), entry("bob", "r2"))))
    assert state.drop("n2").leaves == (entry("alice", "r1"), entry("bob", "r2"))
    assert state.drop("n2") == Diff()


def step(call: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, and return its result."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


class World:
    """Some nodes, a store that can lose everything, and links that deliver in order and can break.

    `truth` has every presence that is tracked, by its ref, with the number of its node.
    """

    def __init__(self, count: int) -> None:
        self.store = UnreliableStore()
        self.nodes = [TopicState(f"n{number}") for number in range(count)]
        self.alive = {node.node for node in self.nodes}
        self.truth: dict[str, tuple[int, Entry]] = {}
        self.sequence = 0
        self.refs = 0
        self.outboxes: list[list[Change]] = [[] for _ in self.nodes]
        self.queues: list[list[tuple[str, Change]]] = [[] for _ in self.nodes]
        # The phase of each node's replica: absent, wanted, loading or current.
        self.phases = ["absent"] * count
        self.unconfirmed: list[frozenset[str]] = [frozenset()] * count
        self.snapshots: list[dict[str, Part]] = [{} for _ in self.nodes]
        self.clients: list[list[PhoenixClient]] = [[] for _ in self.nodes]

    def next_ref(self) -> str:
        self.refs += 1
        return f"{self.refs:06}"

    def forward(self, number: int, diff: Diff) -> None:
        for left in diff.leaves:
            assert left.ref not in self.truth, "a presence left although it is still tracked"
        if diff:
            for client in self.clients[number]:
                client.on_diff(diff.payload())

    # The events. Each happens to one node.

    def track(self, number: int, choice: int) -> None:
        ref, key = self.next_ref(), KEYS[choice % len(KEYS)]
        diff = self.nodes[number].track(key, ref, {"n": choice})
        self.truth[ref] = (number, diff.joins[0])
        self.forward(number, diff)

    def own(self, number: int, choice: int) -> str | None:
        own = [ref for ref, (owner, _) in self.truth.items() if owner == number]
        return own[choice % len(own)] if own else None

    def update(self, number: int, choice: int) -> None:
        ref = self.own(number, choice)
        if ref is not None:
            del self.truth[ref]
            new_ref = self.next_ref()
            diff = self.nodes[number].update(ref, new_ref, {"n": choice})
            self.truth[new_ref] = (number, diff.joins[0])
            self.forward(number, diff)

    def untrack(self, number: int, choice: int) -> None:
        ref = self.own(number, choice)
        if ref is not None:
            del self.truth[ref]
            self.forward(number, self.nodes[number].untrack(ref))

    def write(self, number: int, _: int) -> None:
        node = self.nodes[number]
        change = node.take_change(self.sequence + 1)
        if change is not None:
            self.sequence += 1
            (done,) = step(self.store.write(node.node, [Write(TOPIC, change, node.sequence)]))
            self.outboxes[number].append(change)
            if not done:
                self.heal(number, 0)

    def heal(self, number: int, _: int) -> None:
        node = self.nodes[number]
        step(self.store.rewrite(node.node, {TOPIC: node.own_part()}))
        self.outboxes[number].append(node.announcement())

    def publish(self, number: int, _: int) -> None:
        for change in self.outboxes[number]:
            for other, queue in enumerate(self.queues):
                if other != number and self.phases[other] != "absent":
                    queue.append((self.nodes[number].node, change))
        self.outboxes[number] = []

    def deliver(self, number: int, choice: int) -> None:
        queue = self.queues[number]
        senders = list(dict.fromkeys(node for node, _ in queue))
        if not senders or self.phases[number] == "loading":
            return  # A node that is loading buffers the messages. Here they stay in the queue.
        sender = senders[choice % len(senders)]
        index = next(index for index, (node, _) in enumerate(queue) if node == sender)
        node, change = queue.pop(index)
        if self.phases[number] == "current":
            diff = self.nodes[number].receive(node, change)
            if diff is None:
                self.phases[number] = "wanted"
            else:
                self.forward(number, diff)

    def drop(self, number: int, _: int) -> None:
        """Lose a message without notice."""
        if self.phases[number] != "loading":
            del self.queues[number][:1]

    def join(self, number: int, choice: int) -> None:
        if self.phases[number] == "absent":
            self.phases[number] = "wanted"
        client = PhoenixClient()
        client.on_state(self.nodes[number].list())
        self.clients[number].append(client)

    def leave(self, number: int, _: int) -> None:
        self.clients[number] = self.clients[number][1:]
        if not self.clients[number]:
            self.phases[number] = "absent"
            self.queues[number] = []
            self.nodes[number].forget_others()

    def read(self, number: int, _: int) -> None:
        if self.phases[number] == "wanted":
            self.phases[number] = "loading"
            (self.snapshots[number],) = step(self.store.load([TOPIC]))

    def take(self, number: int, _: int, trusted: frozenset[str] = frozenset()) -> None:
        if self.phases[number] == "loading":
            self.phases[number] = "current"
            loaded = self.nodes[number].load(self.snapshots[number], self.alive, trusted)
            self.unconfirmed[number] = loaded.unconfirmed
            self.forward(number, loaded.diff)

    def lose_link(self, number: int, _: int) -> None:
        self.queues[number] = []
        if self.phases[number] != "absent":
            self.phases[number] = "wanted"

    def lose_store(self, number: int, _: int) -> None:
        self.store.lose()

    def check(self) -> None:
        for node, clients in zip(self.nodes, self.clients, strict=True):
            for client in clients:
                assert in_order(client.presences) == node.list()

    def settle(self) -> None:
        for number in range(len(self.nodes)):
            self.write(number, 0)
            self.heal(number, 0)
            self.publish(number, 0)
        for number, phase in enumerate(self.phases):
            while self.queues[number] or self.phases[number] in ("wanted", "loading"):
                self.read(number, 0)
                self.take(number, 0)
                self.deliver(number, 0)
            if self.unconfirmed[number] and phase != "absent":
                # A lease later, the store is trusted.
                self.phases[number] = "wanted"
                self.read(number, 0)
                self.take(number, 0, self.unconfirmed[number])


EVENTS = {
    "track": 6,
    "update": 5,
    "untrack": 9,
    "write": 12,
    "publish": 12,
    "deliver": 20,
    "drop": 2,
    "join": 2,
    "read": 8,
    "take": 8,
    "leave": 1,
    "heal": 2,
    "lose_link": 2,
    "lose_store": 2,
}


# Only long histories find faults, and Hypothesis rarely makes long lists. So it draws a seed, which makes the history.
@settings(max_examples=examples(300), deadline=None)
@given(count=st.sampled_from([2, 3]), seed=st.integers(0, 2**32), store_fails=st.booleans())
def test_all_nodes_and_clients_agree_after_any_history(count: int, seed: int, store_fails: bool) -> None:
    world = World(count)
    random = Random(seed)
    weights = EVENTS if store_fails else {**EVENTS, "lose_store": 0, "heal": 0}
    for number in range(count):
        world.join(number, 0)
    for event in random.choices(list(weights), list(weights.values()), k=150):
        getattr(world, event)(random.randrange(count), random.randrange(20))
        world.check()
    world.settle()
    world.check()
    truth = {ref: joined for ref, (_, joined) in world.truth.items()}
    for number, node in enumerate(world.nodes):
        if world.phases[number] == "current":
            shown = {meta["phx_ref"]: Entry(key, meta) for key, value in node.list().items() for meta in value["metas"]}
            assert shown == truth


@given(
    before=st.lists(st.tuples(st.sampled_from(["track", "update", "untrack"]), st.integers(0, 20)), max_size=20),
    after=st.lists(st.tuples(st.sampled_from(["track", "update", "untrack"]), st.integers(0, 20)), max_size=20),
)
def test_a_client_may_get_diffs_before_its_state(before: list[tuple[str, int]], after: list[tuple[str, int]]) -> None:
    world = World(1)
    client = PhoenixClient()
    world.clients[0].append(client)
    for event, choice in before:
        getattr(world, event)(0, choice)
    client.on_state(world.nodes[0].list())
    for event, choice in after:
        getattr(world, event)(0, choice)
    world.check()
    assert sorted(client.refs()) == sorted(world.truth)
