"""Two gateways and an API behind sentinels, which make the replica the master while people chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from gateway.presence.store_redis import RedisStore
from shared.settings import Settings
from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import PATIENCE_SECONDS, Load
from tests.support.client import Person, Rest, Socket
from tests.support.database import query
from tests.support.freezing import freeze, thaw
from tests.support.processes import Node
from tests.support.sentinels import SentinelServers, running_sentinels


@pytest.fixture
def behind() -> Iterator[SentinelServers]:
    with running_sentinels() as servers:
        yield servers


class Poster:
    """Somebody who posts messages through the API until the block ends, to somebody on a gateway."""

    def __init__(self, rest: Rest, sender: Person, recipient: Person) -> None:
        self.acknowledged: set[int] = set()
        self._rest = rest
        self._sender = sender
        self._recipient = recipient

    async def run(self) -> None:
        while True:
            body = {"to": str(self._recipient.id), "message": "Still there?"}
            answer = await self._rest.call("POST", "/api/messages", 201, who=self._sender, body=body)
            self.acknowledged.add(int(answer["id"]))
            await asyncio.sleep(0.1)


@asynccontextmanager
async def working(task: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), ended


async def until_right(settings: Settings, topics: list[str], listing: str, present: set[str]) -> float:
    """Wait until the master has all that was on the one before it: the topics of people, each on one gateway; the
    gateways; who looks at the listing; counts of requests. Returns the seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    store, prefix = RedisStore.of(settings), settings.redis_prefix
    missing: dict[str, Any] = {}
    redis: Any
    try:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            Redis.from_url(settings.redis_url, decode_responses=True) as redis,
        ):
            while True:
                counts = dict(await redis.pubsub_numsub(*(prefix + topic for topic in topics)))
                missing = {"topics": [topic for topic, count in counts.items() if count != 1]}
                missing["gateways"] = 2 - await redis.zcard(f"{prefix}presence:nodes")
                [parts] = await store.load([listing])
                missing["present"] = present - {entry.key for part in parts.values() for entry in part.entries}
                missing["counts"] = [] if [key async for key in redis.scan_iter(f"{prefix}rate:*")] else ["rate:*"]
                if not any(missing.values()):
                    return loop.time() - began
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"missing on the new master: {missing}") from None
    finally:
        await store.close()


async def test_nothing_acknowledged_is_lost_while_masters_are_killed_changed_over_and_frozen(
    world: World, behind: SentinelServers
) -> None:
    nodes = await world.gateways(2, REDIS_URL=behind.url)
    limits = {"RATE_LIMITS": "on", "WRITES_PER_MINUTE": "100000", "WRITES_PER_ACCOUNT_MINUTE": "100000"}
    api = await world.processes.api(REDIS_URL=behind.url, **limits)
    async with Rest(api.url) as rest:
        ann, bob, mona = [await rest.register(name) for name in ("Ann", "Bob", "Mona")]
        query(world.settings.database_url, "UPDATE users SET role = 'moderator' WHERE id = %s", mona.id)
        body = {"name": "Saloons", "visibility": "public"}
        category = (await rest.call("POST", "/api/categories", 201, who=mona, body=body))["id"]
        body = {"title": "A Corolla", "content": "One owner.", "visibility": "public", "category_id": category}
        listing = (await rest.call("POST", "/api/listings", 201, who=ann, body=body))["id"]
        poster = Poster(rest, ann, bob)
        async with (
            Load(world.settings, [node.socket_url for node in nodes], rate=200) as load,
            await Socket.connect(nodes[0].socket_url, ann.token) as anns,
            await Socket.connect(nodes[1].socket_url, bob.token) as bobs,
        ):
            assert (await bobs.join(bob.topic, {"after_id": 0}))["status"] == "ok"
            for socket in (anns, bobs):
                assert (await socket.join(f"listing:{listing}"))["status"] == "ok"
            topics = [*(user.topic for user in load.users), bob.topic]
            present = {str(ann.id), str(bob.id)}

            async def right_on(number: int) -> None:
                await behind.named(number)
                url = behind.servers[number].url
                seconds = await until_right(
                    replace(world.settings, redis_url=url), topics, f"listing:{listing}", present
                )
                print(f"right {seconds:.1f} s after the sentinels had named the new master")
                for node in (*nodes, api):
                    await until_ready(node)

            async with working(asyncio.create_task(poster.run())):
                await load.more_acknowledged(200)
                # The other two sentinels are enough.
                behind.sentinels[2].kill()
                behind.servers[0].kill()
                await right_on(1)
                await behind.servers[0].start()
                await behind.sentinels[2].start()
                await load.more_acknowledged(100)
                # The old master becomes a replica some seconds later, and answers all the time.
                await behind.fail_over(to=0)
                await right_on(0)
                await load.more_acknowledged(100)
                await behind.until_replicating(1)
                freeze(behind.servers[0].pid)
                try:
                    await right_on(1)
                finally:
                    thaw(behind.servers[0].pid)
                # It still believes that it is the master.
                await load.more_acknowledged(200)
            reckoning = await load.reckon()
            print(reckoning)
            assert all(user.connects == 1 and not user.errors for user in load.users), load.state()
            assert reckoning.sent == reckoning.acknowledged == reckoning.stored
            assert reckoning.received == 2 * reckoning.stored
            got: set[int] = set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while got != poster.acknowledged:
                    got.add(int((await bobs.event("send"))["id"]))
            print(f"posted {len(poster.acknowledged)}, received {len(got)}")
        for node in (*nodes, api):
            assert "Traceback" not in node.output()


async def until_ready(node: Node) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as client:
        while True:
            async with client.get(f"{node.url}/health/ready") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)
