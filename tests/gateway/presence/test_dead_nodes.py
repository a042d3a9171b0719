"""Tests what becomes of the entries of a node that stops, dies, or is wrongly taken for dead."""

from __future__ import annotations

from gateway.presence.leases import BEATS_PER_LEASE
from tests.gateway.presence.cluster import Cluster, until_stored
from tests.gateway.presence.nodes import LEASE_SECONDS
from tests.gateway.presence.phoenix_client import refs


async def test_entries_of_a_dead_node_leave_once_on_every_node(cluster: Cluster) -> None:
    first, second, third = await cluster.node("n1"), await cluster.node("n2"), await cluster.node("n3")
    for node in (first, second):
        await node.join()
    stays = first.tracker.track("room", "alice", {}, "a")
    alice = third.tracker.track("room", "alice", {}, "a")
    bob = third.tracker.track("room", "bob", {}, "b")
    await cluster.network.until(lambda: first.shows(stays, alice, bob) and second.shows(stays, alice, bob))
    diff_counts = len(first.diffs), len(second.diffs)
    looks = first.look_count
    await third.kill()
    await cluster.network.until(lambda: first.shows(stays) and second.shows(stays))
    # The dead node's lease has to end, and a node that looked late waits for one more lease before it removes others.
    assert first.look_count - looks <= 3 * BEATS_PER_LEASE
    for node, before in zip((first, second), diff_counts, strict=True):
        assert [refs(diff["leaves"]) for diff in node.diffs[before:]] == [[alice, bob]]
    await until_stored(first, lambda parts: "n3" not in parts)


async def test_a_joiner_does_not_see_the_entries_of_a_dead_node(cluster: Cluster) -> None:
    first = await cluster.node("n1")
    first.tracker.track("room", "alice", {}, "a")
    await until_stored(first, lambda parts: bool(parts))
    await first.kill()
    second = await cluster.node("n2")
    client = await second.join(may_return=True)
    await cluster.network.until(lambda: second.shows())
    assert client.refs() == []
    await until_stored(second, lambda parts: not parts)
    assert second.shows()


async def test_entries_of_a_stopping_node_leave_at_once(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join()
    ref = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(ref))
    await first.tracker.stop()
    await cluster.network.until(lambda: second.shows())
    assert set((await second.store.beat("n2", LEASE_SECONDS)).nodes) == {"n2"}


async def test_entries_of_a_node_that_was_wrongly_taken_for_dead_come_back(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join(may_return=True)
    ref = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(ref))
    async with first.tracker._leases._beating:  # The node cannot renew its lease, as if its process were stopped.
        await cluster.network.until(lambda: second.shows())
    await cluster.network.until(lambda: second.shows(ref))
