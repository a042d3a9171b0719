"""Tests polls on one node: when they are answered, and that no message is lost between them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp

from tests.gateway.transports.longpoll.client import (
    SOON,
    Cluster,
    are_polled,
    connected,
)
from tests.support.waiting import until


async def test_a_poll_waits_for_the_next_message(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    poll = asyncio.create_task(client.poll())
    assert await client.post(["1", "2", "lab:ok", "echo", {"a": "ü"}]) == 200
    answer = await poll
    assert answer["status"] == 200
    assert answer["token"] == client.token
    assert [json.loads(message) for message in answer["messages"]] == [
        ["1", "2", "lab:ok", "phx_reply", {"response": {"a": "ü"}, "status": "ok"}]
    ]


async def test_a_poll_without_messages_ends_after_the_window(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster, longpoll_window_seconds=0.2)
    before = time.monotonic()
    answer = await client.poll()
    assert answer == {"status": 204, "messages": [], "token": client.token}
    assert time.monotonic() - before >= 0.2


async def test_messages_wait_in_order_for_the_next_poll(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    for number in range(10):
        assert await client.post(["1", f"{number}", "lab:ok", "echo", {}]) == 200
    (answer,) = [await client.poll()]
    assert [json.loads(message)[1] for message in answer["messages"]] == [f"{number}" for number in range(10)]


async def test_a_newer_poll_ends_an_older_one(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    older = asyncio.create_task(client.poll())
    await are_polled(node)
    newer = asyncio.create_task(client.poll())
    assert await asyncio.wait_for(older, SOON / 2) == {"status": 204, "messages": [], "token": client.token}
    assert not newer.done()
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    assert len((await newer)["messages"]) == 1


async def test_messages_after_an_aborted_poll_are_kept(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    given_up = asyncio.create_task(client.poll())
    await are_polled(node)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    for ref in ("2", "3"):
        assert await client.post(["1", ref, "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await client.gets(2)] == ["2", "3"]


async def test_messages_of_a_lost_answer_come_first_in_the_next_poll(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    session: Any = next(iter(node.endpoint.connections))
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    taken = await session.poll("lost")
    assert len(taken.messages) == 1
    assert await client.post(["1", "3", "lab:ok", "echo", {}]) == 200
    waiting = asyncio.create_task(client.poll())
    await until(lambda: session._poll is not None)
    session.acknowledge("lost", False)
    assert [json.loads(message)[1] for message in (await waiting)["messages"]] == ["2", "3"]


async def test_messages_of_an_unacknowledged_poll_are_sent_again(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, node_call_seconds=0.1)
    await client.join("lab:ok")
    session: Any = next(iter(node.endpoint.connections))
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    await session.poll("lost")
    assert [frame[1] for frame in await client.gets(1)] == ["2"]


async def test_a_waiting_poll_may_get_more_bytes_than_may_wait(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, max_outbox_bytes=10_000)
    await client.join("lab:ok")
    poll = asyncio.create_task(client.gets(3))
    await are_polled(node)
    big = ["1", "2", "lab:ok", "big", {"n": 6_000}]
    assert await client.post(big, big) == 200
    assert await client.post(["1", "3", "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await poll] == ["2", "2", "3"]
