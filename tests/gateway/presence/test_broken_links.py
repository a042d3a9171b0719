"""Tests that nodes agree again after a link between them was broken, or has lost a message."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.gateway.presence.cluster import Cluster, refs_of, until_stored
from tests.gateway.presence.phoenix_client import refs
from tests.gateway.presence.unreliable_store import UnreliableStore


async def test_a_node_repairs_the_loss_of_a_message_without_notice(memory: tuple[Cluster, UnreliableStore]) -> None:
    cluster, _ = memory
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join()
    alice = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(alice))
    second.linked = False
    bob = first.tracker.track("room", "bob", {}, "b")
    await until_stored(first, lambda parts: refs_of(parts) == {alice, bob})
    second.linked = True
    await cluster.network.until(lambda: second.shows(alice, bob))


async def test_changes_during_a_broken_link_come_as_a_diff_afterwards(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await first.join()
    await second.join()
    left = first.tracker.track("room", "alice", {}, "a")
    changed = first.tracker.track("room", "bob", {"s": 1}, "b")
    await cluster.network.until(lambda: second.shows(left, changed))
    second.lose_link()
    first.tracker.untrack("room", "alice", "a")
    after = first.tracker.update("room", "bob", {"s": 2}, "b")
    joined = first.tracker.track("room", "carol", {}, "c")
    mine = second.tracker.track("room", "dave", {}, "d")
    await until_stored(first, lambda parts: refs_of(parts) == {after, joined, mine})
    assert second.shows(left, changed, mine)
    second.restore_link()
    await cluster.network.until(lambda: second.shows(after, joined, mine) and first.shows(after, joined, mine))
    assert refs(second.diffs[-1]["leaves"]) == [left, changed]


async def test_a_last_leave_during_a_broken_link_is_seen_afterwards(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join()
    ref = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(ref))
    second.lose_link()
    first.tracker.owner_gone("a")
    await until_stored(first, lambda parts: not parts)
    second.restore_link()
    await cluster.network.until(lambda: second.shows())


@pytest.mark.parametrize("ends", [False, True], ids=["stays", "ends"])
async def test_a_node_publishes_again_what_it_published_during_a_broken_link(cluster: Cluster, ends: bool) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join()
    ref = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(ref))
    first.lose_link()
    expected = []
    if ends:
        first.tracker.owner_gone("a")
    else:
        expected = [first.tracker.update("room", "alice", {"s": 2}, "a")]
    await until_stored(first, lambda parts: refs_of(parts) == set(expected))
    first.restore_link()
    await cluster.network.until(lambda: second.shows(*expected))


async def test_all_nodes_agree_after_a_random_sequence_of_changes(cluster: Cluster) -> None:
    random = Random(5)
    # With the usual short lease, a node that the machine holds up for long would rightly be taken for dead.
    nodes = [await cluster.node(f"n{number}", lease_seconds=5.0) for number in range(3)]
    for node in nodes:
        await node.join()
    tracked: dict[tuple[int, str], str] = {}
    for number in range(300):
        owner, key = random.randrange(3), f"key {random.randrange(8)}"
        tracker = nodes[owner].tracker
        if (owner, key) not in tracked:
            tracked[owner, key] = tracker.track("room", key, {"n": number}, key)
        elif random.random() < 0.5:
            tracked[owner, key] = tracker.update("room", key, {"n": number}, key)
        else:
            del tracked[owner, key]
            tracker.untrack("room", key, key)
        if random.random() < 0.1:
            await nodes[owner].join()
        if random.random() < 0.05:
            nodes[owner].lose_link()
            await asyncio.sleep(0)
            nodes[owner].restore_link()
        if random.random() < 0.3:
            await asyncio.sleep(0)
    await cluster.network.until(lambda: all(node.shows(*tracked.values()) for node in nodes))
    assert nodes[0].tracker.list("room") == nodes[1].tracker.list("room") == nodes[2].tracker.list("room")
