"""Tests presence while its store is unreachable, and after its store has lost what it had."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from development.redis import EmbeddedRedis
from gateway.presence.state import Part
from gateway.presence.store_redis import RedisStore
from shared.settings import Settings
from tests.gateway.presence.cluster import Cluster, refs_of, stored, until_stored
from tests.gateway.presence.nodes import Node
from tests.gateway.presence.phoenix_client import refs
from tests.gateway.presence.unreliable_store import UnreliableStore


async def test_a_cancelled_join_keeps_nothing(memory: tuple[Cluster, UnreliableStore]) -> None:
    cluster, store = memory
    node = await cluster.node("n1")
    store.available = False
    joining = asyncio.create_task(node.tracker.topic_joined("room"))
    await asyncio.sleep(0)
    assert node.tracker.topics == 1
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert node.tracker.topics == 0


async def test_a_topic_lost_from_the_store_is_stored_again(memory: tuple[Cluster, UnreliableStore]) -> None:
    cluster, store = memory
    node = await cluster.node("n1")
    ref = node.tracker.track("room", "alice", {}, "a")
    await until_stored(node, lambda parts: refs_of(parts) == {ref})
    await store.rewrite("n1", {"room": Part(0, ())})
    await until_stored(node, lambda parts: refs_of(parts) == {ref})


async def test_a_tracker_stops_while_its_store_is_away(memory: tuple[Cluster, UnreliableStore]) -> None:
    cluster, store = memory
    node = await cluster.node("n1")
    await node.join()
    ref = node.tracker.track("room", "alice", {}, "a")
    await until_stored(node, lambda parts: refs_of(parts) == {ref})
    store.available = False
    await node.tracker.stop()
    assert node.shows()


async def test_without_the_store_changes_are_seen_locally_and_reach_other_nodes_later(
    memory: tuple[Cluster, UnreliableStore],
) -> None:
    cluster, store = memory
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join()
    store.available = False
    await first.join("room")
    ref = first.tracker.track("room", "alice", {}, "a")
    gone = first.tracker.track("room", "bob", {}, "b")
    assert first.shows(ref, gone)
    first.tracker.untrack("room", "bob", "b")
    assert first.shows(ref)
    assert second.shows()
    store.available = True
    await cluster.network.until(lambda: second.shows(ref))


async def alice_and_bob(cluster: Cluster) -> tuple[Node, Node, str, str]:
    """Start two nodes with a client each, on which Alice and Bob are present; return the nodes and the two refs."""
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await first.join()
    await second.join()
    alice = first.tracker.track("room", "alice", {}, "a")
    bob = second.tracker.track("room", "bob", {}, "b")
    await cluster.network.until(lambda: first.shows(alice, bob) and second.shows(alice, bob))
    return first, second, alice, bob


async def test_no_entry_leaves_when_the_store_is_away_longer_than_a_lease(
    memory: tuple[Cluster, UnreliableStore],
) -> None:
    cluster, store = memory
    first, second, alice, bob = await alice_and_bob(cluster)
    diff_counts = len(first.diffs), len(second.diffs)
    store.available = False
    await asyncio.gather(first.looks(2), second.looks(2))
    store.available = True
    first.restore_link()
    second.restore_link()
    await asyncio.gather(first.looks(3), second.looks(3))
    assert first.shows(alice, bob)
    assert second.shows(alice, bob)
    assert (len(first.diffs), len(second.diffs)) == diff_counts


async def test_an_emptied_redis_is_filled_again_without_a_diff(redis_url: str) -> None:
    cluster = Cluster(lambda: RedisStore.of(Settings(redis_url=redis_url)))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.stop)
        first, second = await cluster.node("n1"), await cluster.node("n2")
        await second.join()
        alice = first.tracker.track("room", "alice", {}, "a")
        bob = second.tracker.track("room", "bob", {}, "b")
        await cluster.network.until(lambda: second.shows(alice, bob))
        diff_counts = len(second.diffs)
        await until_stored(first, lambda parts: refs_of(parts) == {alice, bob})
        async with Redis.from_url(redis_url) as client:
            await client.flushall()
        third = await cluster.node("n3")
        await third.join()
        await cluster.network.until(lambda: third.shows(alice, bob))
        await until_stored(first, lambda parts: refs_of(parts) == {alice, bob})
        await asyncio.gather(first.looks(2), second.looks(2))
        assert second.shows(alice, bob)
        assert len(second.diffs) == diff_counts


@pytest.mark.servers
async def test_a_redis_that_restarts_empty_is_filled_again_without_a_diff(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    await server.start()
    cluster = Cluster(lambda: RedisStore.of(Settings(redis_url=server.url, redis_timeout_seconds=0.5)))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        stack.push_async_callback(cluster.stop)
        first, second, alice, bob = await alice_and_bob(cluster)
        diff_counts = len(first.diffs), len(second.diffs)
        server.kill()
        for node in (first, second):
            node.lose_link()
        carol = first.tracker.track("room", "carol", {}, "c")
        first.tracker.owner_gone("a")
        assert first.shows(bob, carol)
        await server.start()
        for node in (first, second):
            node.restore_link()
        await cluster.network.until(lambda: first.shows(bob, carol) and second.shows(bob, carol))
        await asyncio.gather(first.looks(2), second.looks(2))
        assert first.shows(bob, carol)
        assert second.shows(bob, carol)
        # Two diffs on the first node, a join and a leave. The second node may get both in one diff.
        assert len(first.diffs) == diff_counts[0] + 2
        assert sorted(ref for diff in second.diffs[diff_counts[1] :] for ref in refs(diff["joins"])) == [carol]
        assert sorted(ref for diff in second.diffs[diff_counts[1] :] for ref in refs(diff["leaves"])) == [alice]
        assert refs_of(await stored(first)) == {bob, carol}
