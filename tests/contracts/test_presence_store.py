"""Tests the promises of the presence store with the stores in memory, in a Redis and in a Redis Cluster."""

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
from gateway.presence.wire import pack_entry
from shared.access.seal import TAG_BYTES
from shared.settings import Settings
from tests.support.ports import free_port
from tests.support.servers import run
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.servers

KEYS = ["alice", "", "__proto__", "ключ \U0001f697", "a:b}{", "k" * 5000]
TOPICS = ["room", "", "a:b", "}{x}", "\ud800", "t" * 1000]


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedRedis]:
    """A Redis Cluster of one node."""
    directory = Path(tempfile.mkdtemp(prefix="daveslist-tests-", dir="/tmp"))
    # By default the cluster bus uses the port plus 10000, which may be taken.
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"cluster_state:ok" not in await client.execute_command(  # noqa: ASYNC110
                "CLUSTER", "INFO", NEVER_DECODE=True
            ):
                await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", "redis", "sentinel", "cluster"])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Asks for the servers here, because a running loop cannot start them."""
    if request.param == "memory":
        yield "memory"
    elif request.param == "redis":
        yield request.getfixturevalue("redis_url")
    elif request.param == "sentinel":
        yield request.getfixturevalue("sentinels").url
    else:
        server: EmbeddedRedis = request.getfixturevalue("cluster")
        yield server.url.replace("redis://", "redis+cluster://").removesuffix("/0")
        with closing(redis.Redis.from_url(server.url)) as client:
            client.flushall()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = MemoryStore() if store_url == "memory" else RedisStore.of(Settings(redis_url=store_url))
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


async def test_written_entries_are_loaded(store: Store) -> None:
    first, second = entry("r1", s=1, big=2**70, deep={"a": [1.5, None]}), entry("r2", "bob")
    assert await store.write("n1", [write(3, 0, (first, second))]) == [True]
    assert await store.write("n2", [write(7, 0, (entry("r3"),))]) == [True]
    assert await loaded(store) == {"n1": (3, {"r1": first, "r2": second}), "n2": (7, {"r3": entry("r3")})}


async def test_the_next_change_of_a_chain_is_applied(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"), entry("r2")))])
    assert await store.write("n1", [write(4, 1, (entry("r3"),), ("r1",))]) == [True]
    assert await loaded(store) == {"n1": (4, {"r2": entry("r2"), "r3": entry("r3")})}


async def test_a_repeated_write_does_nothing(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    assert await store.write("n1", [write(1, 0, (entry("r1"),))]) == [True]
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}


async def test_a_change_after_a_missing_one_is_refused(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    assert await store.write("n1", [write(5, 4, (entry("r2"),), ("r1",))]) == [False]
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}


async def test_removing_the_last_entry_leaves_nothing_behind(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    assert await store.write("n1", [Write("room", Change(2, 1, (), ("r1",)), 0)]) == [True]
    assert await loaded(store) == {}
    assert await store.check("n1", ["room"]) == [0]


async def test_a_rewrite_replaces_everything_of_its_node(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    await store.write("n11", [write(1, 0, (entry("r9"),))])
    await store.rewrite("n1", {"room": Part(5, (entry("r2"), entry("r3"))), "other": Part(6, (entry("r4"),))})
    assert await loaded(store) == {
        "n1": (5, {"r2": entry("r2"), "r3": entry("r3")}),
        "n11": (1, {"r9": entry("r9")}),
    }
    assert await store.check("n1", ["other", "room", "none"]) == [6, 5, 0]


async def test_an_empty_rewrite_removes_the_entries(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    await store.rewrite("n1", {"room": Part(0, ())})
    assert await loaded(store) == {}


async def test_only_the_entries_of_the_dead_node_are_removed(store: Store) -> None:
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    await store.write("n2", [write(1, 0, (entry("r2"),))])
    await store.remove("n1", ["room", "other"])
    assert await loaded(store) == {"n2": (1, {"r2": entry("r2")})}


async def test_answers_for_many_topics_are_in_order(store: Store) -> None:
    writes = [Write(f"room:{n}", Change(n, 0, (entry(f"r{n}"),)), n) for n in range(1, 101)]
    assert await store.write("n1", writes) == [True] * 100
    topics = [f"room:{n}" for n in range(1, 101)]
    assert [parts["n1"].sequence for parts in await store.load(topics)] == list(range(1, 101))
    assert await store.check("n1", topics) == list(range(1, 101))


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_any_text_is_a_key(store: Store, key: str) -> None:
    await store.write("n1", [write(1, 0, (entry("r1", key),))])
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1", key)})}


@pytest.mark.parametrize("topic", TOPICS, ids=ascii)
async def test_any_text_is_a_topic(store: Store, topic: str) -> None:
    await store.write("n1", [Write(topic, Change(1, 0, (entry("r1"),)), 1)])
    assert await loaded(store, topic) == {"n1": (1, {"r1": entry("r1")})}


async def test_the_registry_has_the_nodes_that_are_alive(store: Store) -> None:
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


async def test_a_passed_deadline_is_returned_and_later_deleted(store: Store) -> None:
    await store.beat("n1", 0.05)
    registry = await store.beat("n2", 0.05)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while registry.nodes.get("n1", 0) > registry.now:
            registry = await store.beat("n2", 0.05)
        assert "n1" in registry.nodes
        while "n1" in registry.nodes:
            registry = await store.beat("n2", 0.05)
    assert set(registry.nodes) == {"n2"}


async def test_without_redis_every_call_raises_store_unavailable(tmp_path: Path) -> None:
    store = RedisStore.of(Settings(redis_url=f"unix://{tmp_path}/nothing.sock", redis_timeout_seconds=0.2))
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


async def test_without_the_cluster_a_call_raises_store_unavailable() -> None:
    store = RedisStore.of(Settings(redis_url=f"redis+cluster://127.0.0.1:{free_port()}", redis_timeout_seconds=0.2))
    with pytest.raises(StoreUnavailable):
        await store.beat("n1", 1.0)
    await store.close()


async def test_malformed_entries_are_left_out(redis_url: str) -> None:
    store = RedisStore.of(Settings(redis_url=redis_url))
    await store.write("n1", [write(1, 0, (entry("r1"),))])
    async with Redis.from_url(redis_url) as client:
        key = "daveslist:presence:{room}"
        malformed: dict[Any, Any] = {"n2:r2": "no json", "n2:": "x", "n1:r9": '["k",{}]', "odd": "1", b"\xff:r": "1"}
        await client.hset(key, mapping=malformed)
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}
    await store.close()


async def test_entries_that_were_not_written_for_this_place_are_left_out_and_reported(redis_url: str) -> None:
    store = RedisStore.of(Settings(redis_url=redis_url))
    forged: list[None] = []
    store.on_forged = lambda: forged.append(None)
    await store.write("n1", [write(1, 0, (entry("r1"),)), Write("other", Change(2, 0, (entry("r2"),)), 2)])
    async with Redis.from_url(redis_url) as client:
        room, other = "daveslist:presence:{room}", "daveslist:presence:{other}"
        genuine = await client.hget(other, "n1:r2")
        invented = pack_entry(entry("r3", "mallory")) + bytes(TAG_BYTES)
        moved: dict[Any, Any] = {"n1:r2": genuine, "n1:r4": genuine, "n2:r2": genuine, "n2:": "1"}
        await client.hset(room, mapping={"n1:r3": invented} | moved)
    assert await loaded(store) == {"n1": (1, {"r1": entry("r1")})}
    assert len(forged) == 4
    await store.close()


async def test_stores_with_different_prefixes_do_not_see_each_other(redis_url: str) -> None:
    first, second = (RedisStore.of(Settings(redis_url=redis_url, redis_prefix=prefix)) for prefix in ("a:", "b:"))
    await first.write("n1", [write(1, 0, (entry("r1"),))])
    await first.beat("n1", 5.0)
    assert await loaded(second) == {}
    assert set((await second.beat("n2", 5.0)).nodes) == {"n2"}
    await first.close()
    await second.close()
