"""One user with many connections, and topics with many users: how much of them clients get."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.presence.store_memory import MemoryStore
from tests.gateway.presence.nodes import Network, Node
from tests.gateway.presence.phoenix_client import PhoenixClient, in_order


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node that shows three metas of a key, and lists five."""
    node = Node(Network(), "a", MemoryStore(), most_of_key=3, most_listed=5)
    await node.tracker.start()
    yield node
    await node.tracker.stop()


def metas(client: PhoenixClient, key: str = "ann") -> list[object]:
    """The numbers of the key's metas, as the client has them."""
    return [meta["number"] for meta in in_order(client.presences).get(key, {"metas": []})["metas"]]


async def test_a_user_with_many_connections_has_few_metas_and_others_keep_theirs(node: Node) -> None:
    client = await node.join()
    for number in range(10):
        node.tracker.track("room", "ann", {"number": number}, owner=number)
    node.tracker.track("room", "bob", {"number": 0}, owner="bob")
    assert metas(client) == [0, 1, 2]
    assert metas(client, "bob") == [0]
    assert len(node.diffs) == 4


async def test_a_user_is_present_until_the_last_connection_ends(node: Node) -> None:
    client = await node.join()
    for number in range(6):
        node.tracker.track("room", "ann", {"number": number}, owner=number)
    node.tracker.owner_gone(4)
    assert metas(client) == [0, 1, 2]
    before = len(node.diffs)
    node.tracker.owner_gone(1)
    node.tracker.untrack("room", "ann", 0)
    assert metas(client) == [2, 3, 5]
    # The one that ends and the one that has waited are in one diff, so that nobody seems to go.
    assert len(node.diffs) == before + 2
    assert node.shows(*(meta["phx_ref"] for meta in node.tracker.list("room")["ann"]["metas"]))
    for number in (2, 3):
        node.tracker.owner_gone(number)
        assert metas(client)
    node.tracker.owner_gone(5)
    assert metas(client) == []
    node.tracker.track("room", "ann", {"number": 9}, owner=9)
    assert metas(client) == [9]


async def test_a_meta_that_waits_is_shown_as_it_was_updated_last(node: Node) -> None:
    client = await node.join()
    for number in range(4):
        node.tracker.track("room", "ann", {"number": number}, owner=number)
    diffs = len(node.diffs)
    node.tracker.update("room", "ann", {"number": 33}, owner=3)
    assert len(node.diffs) == diffs
    node.tracker.owner_gone(0)
    assert metas(client) == [1, 2, 33]


async def test_nothing_is_kept_of_owners_that_are_gone(node: Node) -> None:
    for number in range(10):
        node.tracker.track("room", "ann", {"number": number}, owner=number)
    for number in reversed(range(10)):
        node.tracker.owner_gone(number)
    kept = (node.tracker._shown, node.tracker._waiting, node.tracker._owners)
    assert not any(kept)
    assert node.tracker.list("room") == {}


async def test_who_joins_a_large_topic_gets_some_of_the_present_and_then_every_change(node: Node) -> None:
    for number in range(20):
        node.tracker.track("room", f"user {number}", {"number": number}, owner=number)
    client = await node.join()
    assert client.presences is not None
    assert list(client.presences) == [f"user {number}" for number in range(5)]
    node.tracker.track("room", "ann", {"number": 1}, owner="ann")
    assert metas(client) == [1]
    node.tracker.owner_gone(0)
    assert metas(client, "user 0") == []
    assert sorted(client.presences) == ["ann", "user 1", "user 2", "user 3", "user 4"]
    # The others leave with the node, and this strict client would not take the end of what it never had.
    node.leave(client)
