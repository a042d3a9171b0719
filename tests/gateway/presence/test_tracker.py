"""Tests presence on several nodes, with a store in memory and with a real Redis: which diffs the clients get."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from redis.asyncio import Redis

from development.redis import EmbeddedRedis
from gateway.presence.leases import BEATS_PER_LEASE
from gateway.presence.state import Part
from gateway.presence.store import Store
from gateway.presence.store_redis import RedisStore
from gateway.presence.tracker import AlreadyTracked, NotTracked
from shared.settings import Settings
from tests.gateway.presence.nodes import LEASE_SECONDS, PATIENCE_SECONDS, Network, Node
from tests.gateway.presence.phoenix_client import refs
from tests.gateway.presence.unreliable_store import UnreliableStore


class Cluster:
    """Starts nodes that share a store, and ends them."""

    def __init__(self, new_store: Callable[[], Store]) -> None:
        self.network = Network()
        self._new_store = new_store
        self._started: list[Node] = []

    async def node(self, name: str, lease_seconds: float = LEASE_SECONDS) -> Node:
        node = Node(self.network, name, self._new_store(), lease_seconds)
        self._started.append(node)
        await node.tracker.start()
        return node

    async def stop(self) -> None:
        for node in self._started:
            await node.tracker.stop()
            await node.store.close()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_store(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Asks for the Redis here, because a running loop cannot start it."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda: RedisStore.of(Settings(redis_url=url))
    shared = UnreliableStore()
    return lambda: shared


@pytest.fixture
async def cluster(new_store: Callable[[], Store], caplog: pytest.LogCaptureFixture) -> AsyncIterator[Cluster]:
    cluster = Cluster(new_store)
    yield cluster
    await cluster.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def stored(node: Node, topic: str = "room") -> dict[str, Part]:
    (parts,) = await node.store.load([topic])
    return parts


def refs_of(parts: dict[str, Part]) -> set[str]:
    return {entry.ref for part in parts.values() for entry in part.entries}


async def until_stored(node: Node, happened: Callable[[dict[str, Part]], bool]) -> None:
    """Wait until the store's parts satisfy a condition. The store gives no event for that."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened(await stored(node)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_joiner_gets_the_state_without_itself_and_then_its_own_diff(cluster: Cluster) -> None:
    node = await cluster.node("n1")
    client = await node.join()
    assert client.presences == {}
    ref = node.tracker.track("room", "alice", {"s": 1}, "owner")
    assert node.diffs == [{"joins": {"alice": {"metas": [{"phx_ref": ref, "s": 1}]}}, "leaves": {}}]
    assert client.presences == node.tracker.list("room") == {"alice": {"metas": [{"phx_ref": ref, "s": 1}]}}


async def test_a_change_reaches_the_clients_of_every_node_once(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await first.join()
    await second.join()
    await second.join()
    alice = first.tracker.track("room", "alice", {"s": 1}, "a")
    bob = second.tracker.track("room", "bob", {"s": 2}, "b")
    await cluster.network.until(lambda: first.shows(alice, bob) and second.shows(alice, bob))
    assert first.tracker.list("room") == second.tracker.list("room")
    first.tracker.untrack("room", "alice", "a")
    await cluster.network.until(lambda: first.shows(bob) and second.shows(bob))


async def test_an_update_is_one_diff_on_the_other_node_too(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join()
    old = first.tracker.track("room", "bob", {"s": 2}, "b")
    await cluster.network.until(lambda: second.shows(old))
    new = first.tracker.update("room", "bob", {"s": 4}, "b")
    await cluster.network.until(lambda: second.shows(new))
    assert (
        second.diffs[-1]
        == first.diffs[-1]
        == {
            "joins": {"bob": {"metas": [{"phx_ref": new, "phx_ref_prev": old, "s": 4}]}},
            "leaves": {"bob": {"metas": [{"phx_ref": old, "s": 2}]}},
        }
    )


async def test_a_later_joiner_gets_everybody_in_the_state(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    here = await first.join()
    alice = first.tracker.track("room", "alice", {}, "a")
    also_alice = first.tracker.track("room", "alice", {}, "a2")
    await cluster.network.until(lambda: here.presences is not None and first.shows(alice, also_alice))
    await until_stored(second, lambda parts: bool(parts))
    client = await second.join()
    assert sorted(client.refs()) == sorted([alice, also_alice])
    assert client.joined == []


async def test_everything_that_an_owner_tracked_leaves_in_one_diff_for_each_topic(cluster: Cluster) -> None:
    node = await cluster.node("n1")
    await node.join()
    node.tracker.track("room", "alice", {}, "owner")
    node.tracker.track("room", "bob", {}, "owner")
    stays = node.tracker.track("room", "alice", {}, "other")
    before = len(node.diffs)
    node.tracker.owner_gone("owner")
    assert node.shows(stays)
    assert len(node.diffs) == before + 1
    node.tracker.owner_gone("owner")
    assert len(node.diffs) == before + 1


async def test_an_owner_can_track_a_key_once_in_a_topic(cluster: Cluster) -> None:
    node = await cluster.node("n1")
    await node.join()
    ref = node.tracker.track("room", "alice", {}, "owner")
    with pytest.raises(AlreadyTracked):
        node.tracker.track("room", "alice", {}, "owner")
    with pytest.raises(NotTracked):
        node.tracker.update("room", "bob", {}, "owner")
    with pytest.raises(NotTracked):
        node.tracker.update("room", "alice", {}, "other")
    node.tracker.untrack("room", "alice", "other")
    assert node.shows(ref)
    assert len(node.diffs) == 1


@pytest.mark.parametrize(
    ("key", "meta", "error"),
    [
        (7, {}, TypeError),
        ("a", [1], TypeError),
        ("a", None, TypeError),
        ("\ud800", {}, ValueError),
        ("a", {"x": "\ud800"}, ValueError),
        ("a", {"x": object}, TypeError),
    ],
    ids=ascii,
)
async def test_a_malformed_key_or_meta_raises_and_changes_nothing(
    cluster: Cluster, key: Any, meta: Any, error: type[Exception]
) -> None:
    node = await cluster.node("n1")
    await node.join()
    with pytest.raises(error):
        node.tracker.track("room", key, meta, "owner")
    ref = node.tracker.track("room", "a", {}, "owner")
    with pytest.raises(error):
        node.tracker.update("room", key, meta, "owner")
    assert node.shows(ref)


async def test_changing_a_meta_after_tracking_it_changes_nothing(cluster: Cluster) -> None:
    node = await cluster.node("n1")
    meta = {"tags": ["a"]}
    ref = node.tracker.track("room", "alice", meta, "owner")
    meta["tags"].append("b")
    assert node.tracker.list("room") == {"alice": {"metas": [{"phx_ref": ref, "tags": ["a"]}]}}


async def test_malformed_bytes_are_ignored(cluster: Cluster) -> None:
    node = await cluster.node("n1")
    await node.join()
    for payload in (b"", b"{}", b"[1,0]", b'[1,0,[["k",{}]],[]]', b'{"joins":{},"leaves":{}}', b"\xff"):
        node.tracker.receive("room", "n2", payload)
    assert node.shows()
    assert node.diffs == []


async def test_nothing_is_kept_of_an_empty_topic(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    here, there = await first.join(), await second.join()
    ref = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(ref))
    first.tracker.owner_gone("a")
    first.leave(here)
    await cluster.network.until(lambda: second.shows())
    second.leave(there)
    await until_stored(first, lambda parts: not (parts or first.tracker.topics or second.tracker.topics))


async def test_a_topic_is_kept_when_a_client_joins_while_the_last_member_leaves(
    memory: tuple[Cluster, UnreliableStore],
) -> None:
    cluster, _ = memory
    first, second = await cluster.node("n1"), await cluster.node("n2")
    leaving = await first.join()
    joining = asyncio.create_task(first.tracker.topic_joined("room"))
    await asyncio.sleep(0)
    first.leave(leaving)
    first.clients["room"] = []
    await joining
    ref = second.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: first.shows(ref))


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


async def test_a_topic_lost_from_the_store_is_stored_again(memory: tuple[Cluster, UnreliableStore]) -> None:
    cluster, store = memory
    node = await cluster.node("n1")
    ref = node.tracker.track("room", "alice", {}, "a")
    await until_stored(node, lambda parts: refs_of(parts) == {ref})
    await store.rewrite("n1", {"room": Part(0, ())})
    await until_stored(node, lambda parts: refs_of(parts) == {ref})


async def test_a_change_caused_by_a_diff_is_delivered_after_it(
    memory: tuple[Cluster, UnreliableStore],
) -> None:
    cluster, _ = memory
    node = await cluster.node("n1")
    await node.join()
    await node.join()
    node.on_client_diff = lambda: node.tracker.owner_gone("a")
    node.tracker.track("room", "alice", {}, "a")
    assert [(len(diff["joins"]), len(diff["leaves"])) for diff in node.diffs] == [(1, 0), (0, 1)]
    assert node.shows()


async def test_a_tracker_stops_while_its_store_is_away(memory: tuple[Cluster, UnreliableStore]) -> None:
    cluster, store = memory
    node = await cluster.node("n1")
    await node.join()
    ref = node.tracker.track("room", "alice", {}, "a")
    await until_stored(node, lambda parts: refs_of(parts) == {ref})
    store.available = False
    await node.tracker.stop()
    assert node.shows()


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


async def test_entries_of_a_node_that_was_wrongly_taken_for_dead_come_back(cluster: Cluster) -> None:
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await second.join(may_return=True)
    ref = first.tracker.track("room", "alice", {}, "a")
    await cluster.network.until(lambda: second.shows(ref))
    async with first.tracker._leases._beating:  # The node cannot renew its lease, as if its process were stopped.
        await cluster.network.until(lambda: second.shows())
    await cluster.network.until(lambda: second.shows(ref))


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


# Faults of the store


@pytest.fixture
async def memory() -> AsyncIterator[tuple[Cluster, UnreliableStore]]:
    store = UnreliableStore()
    cluster = Cluster(lambda: store)
    yield cluster, store
    store.available = True
    await cluster.stop()


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


async def test_no_entry_leaves_when_the_store_is_away_longer_than_a_lease(
    memory: tuple[Cluster, UnreliableStore],
) -> None:
    cluster, store = memory
    first, second = await cluster.node("n1"), await cluster.node("n2")
    await first.join()
    await second.join()
    alice = first.tracker.track("room", "alice", {}, "a")
    bob = second.tracker.track("room", "bob", {}, "b")
    await cluster.network.until(lambda: first.shows(alice, bob) and second.shows(alice, bob))
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
        first, second = await cluster.node("n1"), await cluster.node("n2")
        await first.join()
        await second.join()
        alice = first.tracker.track("room", "alice", {}, "a")
        bob = second.tracker.track("room", "bob", {}, "b")
        await cluster.network.until(lambda: first.shows(alice, bob) and second.shows(alice, bob))
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
