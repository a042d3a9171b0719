"""The promises of the presence store, held against each that there is: in memory, in Redis, in a Redis Cluster."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio import Redis

from development.redis import EmbeddedRedis
from gateway.presence.state import Change, Entry, Part
from gateway.presence.store import Store, StoreUnavailable, Write
from gateway.presence.store_memory import MemoryStore
from gateway.presence.store_redis import RedisStore
from tests.support.ports import free_port
from tests.support.servers import run

pytestmark = pytest.mark.servers

KEYS = ["alice", "", "__proto__", "ключ \U0001f697", "a:b}{", "k" * 5000]
TOPICS = ["room", "", "a:b", "}{x}", "\ud800", "t" * 1000]


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedRedis]:
    """A Redis Cluster of one node."""
    directory = Path(tempfile.mkdtemp(prefix="daveslist-tests-", dir="/tmp"))
    # By itself the bus would be at the port plus 10000, which another may have.
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    server = EmbeddedRedis(directory, port=free_port(), options=options)
    try:
        run(start_cluster(server))
        yield server
    finally:
        run(server.stop())
        shutil.rmtree(directory)


async def start_cluster(server: EmbeddedRedis) -> None:
    await server.start()
    client: Any
    async with Redis.from_url(server.url) as client:
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        async with asyncio.timeout(10):
            # It tells nobody when it is ready.
            while b"cluster_state:ok" not in await client.execute_command(  # noqa: ASYNC110
                "CLUSTER", "INFO", NEVER_DECODE=True
            ):
                await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", "redis", "cluster"])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Asked for here, because the servers are not started from within a loop."""
    if request.param == "memory":
        yield "memory"
    elif request.param == "redis":
        yield request.getfixturevalue("redis_url")
    else:
        server: EmbeddedRedis = request.getfixturevalue("cluster")
        yield server.url.replace("redis://", "redis+cluster://").removesuffix("/0")
        with closing(redis.Redis.from_url(server.url)) as client:
            client.flushall()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = MemoryStore() if store_url == "memory" else RedisStore.from_url(store_url)
    yield store
    await store.close()


def entry(ref: str, key: str = "alice", **meta: Any) -> Entry:
    return Entry(key, {"phx_ref": ref, **meta})


def parts_as_sets(loaded: dict[str, Part]) -> dict[str, tuple[int, dict[str, Entry]]]:
    return {node: (part.sequence, {entry.ref: entry for entry in part.entries}) for node, part in loaded.items()}


async def loaded(store: Store, topic: str = "room") -> dict[str, tuple[int, dict[str, Entry]]]:
    (parts,) = await store.load([topic])
    return parts_as_sets(parts)


def write(sequence: int, previous: int, joins: tuple[Entry, ...] = (), leaves: tuple[str, ...] = ()) -> Write:
    return Write("room", Change(sequence, previous, joins, leaves), sequence)


async def test_a_topic_without_entries_loads_empty(store: Store) -> None:
    assert await store.load(["room", "other"]) == [{}, {}]


async def test_what_was_written_is_loaded(store: Store) -> None:
    first, second = entry("r1", s=1, big=2**70, deep={"a": [1.5, None]}), entry("r2", "bob")
    assert await store.write("n1", [write(3, 0, (first, second))]) == [True]
    assert await store.write("n2", [write(7, 0, (entry("r3"),))]) == [True]
    assert await loaded(store) == {"n1": (3, {"r1": first, "r2": second}), "n2": (7, {"r3": entry("r3")})}


async def test_a_change_that_follows_is_applied(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"), entry("r2")))])
    assert await store.write("n1", [write(4, 1, (entry("r3"),), ("r1",))]) == [True]
    assert await loaded(store) == {"n1": (4, {"r2": entry("r2"), "r3": entry("r3")})}


async def test_a_write_repeated_does_nothing(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    assert await store.write("n1", [write(1, 0, (entry("r1"),))]) == [True]
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}


async def test_a_change_that_does_not_follow_changes_nothing(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    assert await store.write("n1", [write(5, 4, (entry("r2"),), ("r1",))]) == [False]
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}


async def test_the_last_entry_leaves_nothing_behind(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    assert await store.write("n1", [Write("room", Change(2, 1, (), ("r1",)), 0)]) == [True]
    assert await loaded(store) == {}
    assert await store.check("n1", ["room"]) == [0]


async def test_a_rewrite_is_all_that_there_is(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    await store.write("n11", [write(1, 0, (entry("r9"),))])
    await store.rewrite("n1", {"room": Part(5, (entry("r2"), entry("r3"))), "other": Part(6, (entry("r4"),))})
    assert await loaded(store) == {
        "n1": (5, {"r2": entry("r2"), "r3": entry("r3")}),
        "n11": (1, {"r9": entry("r9")}),
    }
    assert await store.check("n1", ["other", "room", "none"]) == [6, 5, 0]


async def test_a_rewrite_of_nothing_takes_away_what_was_there(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    await store.rewrite("n1", {"room": Part(0, ())})
    assert await loaded(store) == {}


async def test_what_a_dead_node_left_is_removed_and_no_more(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    await store.write("n2", [write(1, 0, (entry("r2"),))])
    await store.remove("n1", ["room", "other"])
    assert await loaded(store) == {"n2": (1, {"r2": entry("r2")})}


async def test_many_topics_at_once_keep_their_order(store: Store) -> None:
    writes = [Write(f"room:{n}", Change(n, 0, (entry(f"r{n}"),)), n) for n in range(1, 101)]
    assert await store.write("n1", writes) == [True] * 100
    topics = [f"room:{n}" for n in range(1, 101)]
    assert [parts["n1"].sequence for parts in await store.load(topics)] == list(range(1, 101))
    assert await store.check("n1", topics) == list(range(1, 101))


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_keys_are_data(store: Store, key: str) -> None:
    await store.write("n1", [write(1, 0, (entry("r1", key),))])
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1", key)})}


@pytest.mark.parametrize("topic", TOPICS, ids=ascii)
async def test_topics_are_data(store: Store, topic: str) -> None:
    await store.write("n1", [Write(topic, Change(1, 0, (entry("r1"),)), 1)])
    assert await loaded(store, topic) == {"n1": (1, {"r1": entry("r1")})}


async def test_the_registry_tells_who_is_alive(store: Store) -> None:
    first = await store.beat("n1", 5.0)
    assert first.previous is None
    assert first.deadline == first.now + 5000
    other = await store.beat("n2", 5.0)
    assert other.nodes == {"n1": first.deadline, "n2": other.deadline}
    again = await store.beat("n1", 5.0)
    assert again.previous == first.deadline
    assert again.now >= other.now
    await store.depart("n2")
    assert set((await store.beat("n1", 5.0)).nodes) == {"n1"}


async def test_a_deadline_that_passed_is_seen_and_later_forgotten(store: Store) -> None:
    await store.beat("n1", 0.05)
    registry = await store.beat("n2", 0.05)
    async with asyncio.timeout(10):
        while registry.nodes.get("n1", 0) > registry.now:
            registry = await store.beat("n2", 0.05)
        assert "n1" in registry.nodes
        while "n1" in registry.nodes:
            registry = await store.beat("n2", 0.05)
    assert set(registry.nodes) == {"n2"}


async def test_a_redis_that_is_away_makes_every_call_fail(tmp_path: Path) -> None:
    store = RedisStore.from_url(f"unix://{tmp_path}/nothing.sock", timeout_seconds=0.2)
    for call in (
        store.beat("n1", 1.0),
        store.depart("n1"),
        store.load(["room"]),
        store.write("n1", [write(1, 0, (entry("r1"),))]),
        store.rewrite("n1", {"room": Part(0, ())}),
        store.check("n1", ["room"]),
        store.remove("n1", ["room"]),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await store.close()


async def test_a_cluster_that_is_away_makes_every_call_fail() -> None:
    store = RedisStore.from_url(f"redis+cluster://127.0.0.1:{free_port()}", timeout_seconds=0.2)
    with pytest.raises(StoreUnavailable):
        await store.beat("n1", 1.0)
    await store.close()


async def test_what_nobody_of_ours_wrote_is_left_out(redis_url: str) -> None:
    store = RedisStore.from_url(redis_url)
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    async with Redis.from_url(redis_url) as client:
        await client.hset("presence:{room}", mapping={"n2:r2": "no json", "n2:": "x", "n1:r9": '["k",{}]', "odd": "1"})
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}
    await store.close()


async def test_stores_with_different_prefixes_share_a_redis_and_nothing_else(redis_url: str) -> None:
    first, second = RedisStore.from_url(redis_url, prefix="a:"), RedisStore.from_url(redis_url, prefix="b:")
    await first.write("n1", [write(1, 0, (entry("r1"),))])
    await first.beat("n1", 5.0)
    assert await loaded(second) == {}
    assert set((await second.beat("n2", 5.0)).nodes) == {"n2"}
    await first.close()
    await second.close()
