"""Tests what a tracker tells the clients of its node, and those of other nodes, while nothing is broken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.presence.tracker import AlreadyTracked, NotTracked
from tests.gateway.presence.cluster import Cluster, until_stored
from tests.gateway.presence.unreliable_store import UnreliableStore


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
