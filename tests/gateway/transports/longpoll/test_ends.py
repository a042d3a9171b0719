"""Tests everything that ends a long-polling session on one node, and what the client is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from gateway.protocol.close_codes import DISCONNECTED
from tests.gateway.transports.longpoll.client import (
    JSON,
    NDJSON,
    SOON,
    Cluster,
    LongPollClient,
    are_polled,
    connected,
    sessions_of,
)
from tests.lab.tokens import token_of
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("nonsense", NDJSON),
        ("[1,2", NDJSON),
        ("[1,2]", NDJSON),
        ('{"topic":"lab:ok","event":"phx_join","payload":{},"ref":1}', NDJSON),
        ('["1","1","lab:ok","phx_join",{}]\nAAEC', NDJSON),
        ("AQID", NDJSON),
        ("", JSON),
        ("nonsense", JSON),
        (b'["1","1","lab:ok","\xff",{}]', JSON),
        ('["1","1","lab:ok","phx_join",{}]\n["1","2","lab:ok","echo",{}]', JSON),
    ],
)
async def test_a_bad_frame_is_answered_at_once_and_ends_the_session(
    http: aiohttp.ClientSession, cluster: Cluster, body: Any, headers: dict[str, str]
) -> None:
    client, node = await connected(http, cluster, longpoll_window_seconds=10 * SOON)
    waiting = asyncio.create_task(client.poll())
    await are_polled(node)
    assert await client.request("POST", {"token": client.token}, data=body, headers=headers) == {"status": 400}
    answer = await asyncio.wait_for(waiting, SOON)
    assert (answer["status"], answer["messages"]) == (410, [])
    assert answer["token"] != client.token
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}]) == 410
    assert sessions_of(node) == 1


async def test_an_ended_session_is_replaced_for_a_user_who_may_still_connect(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    next(iter(node.endpoint.connections)).close(DISCONNECTED)
    answer = await client.poll()
    assert (answer["status"], answer["messages"]) == (410, [])
    client.token = answer["token"]
    await client.join("lab:ok")


async def test_an_ended_session_is_not_replaced_without_a_jwt(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    next(iter(node.endpoint.connections)).close(DISCONNECTED)
    assert await client.request("GET", {"token": client.token, "vsn": "2.0.0"}) == {"status": 403}


async def test_disconnect_ends_all_sessions_of_the_user(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    one, two, other = (LongPollClient(http, [node], user_id) for user_id in (1, 1, 2))
    for client in (one, two, other):
        await client.open()
        await client.join("lab:ok")
    waiting = asyncio.create_task(two.poll())
    await are_polled(node)
    assert await one.post(["1", "2", "lab:ok", "disconnect_me", {}]) == 200
    assert (await waiting)["status"] == 410
    assert await one.post(["1", "3", "lab:ok", "echo", {}]) == 410
    assert (await one.poll())["status"] == 410
    assert await other.post(["1", "2", "lab:ok", "echo", {}]) == 200
    assert len(await other.gets(1)) == 1


async def test_frames_after_a_disconnect_in_the_same_batch_are_ignored(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    frames = [["1", "2", "lab:ok", "disconnect_me", {}], ["2", "3", "lab:room:1", "phx_join", {}]]
    assert await client.post(*frames) == 200
    await until(lambda: sessions_of(node) == 0)
    assert len(node.endpoint.topics) == 0


async def test_a_session_ends_when_its_token_expires(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start(idle_seconds=0.2)
    client = LongPollClient(http, [node])
    client.jwt = token_of(1, seconds=1.5)
    await client.open()
    assert await client.poll() == {"messages": [], "status": 410, "token": None}
    assert await client.poll() == {"status": 403}
    assert sessions_of(node) == 0


async def test_a_session_that_is_not_polled_ends_despite_posts(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    before = time.monotonic()
    client, node = await connected(http, cluster, longpoll_window_seconds=0.4, idle_seconds=0.2)
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}]) == 200
    async with asyncio.timeout(SOON):
        while await client.post(["1", "2", "lab:ok", "noreply", {}]) == 200:
            pass
    assert time.monotonic() - before > 0.6
    await until(lambda: sessions_of(node) == 0)
    assert len(node.endpoint.topics) == 0, "its channels were not ended"


async def test_a_session_that_is_polled_lives_on(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    # A session that nobody polls ends after 0.6 seconds: a busy machine may pause for as long between two polls.
    client, _ = await connected(http, cluster, longpoll_window_seconds=0.4, idle_seconds=0.1)
    until_then = time.monotonic() + 1
    while time.monotonic() < until_then:
        assert (await client.poll())["status"] == 204


async def test_a_session_with_too_many_waiting_bytes_is_ended(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, max_outbox_bytes=10_000)
    await client.join("lab:ok")
    big = ["1", "2", "lab:ok", "big", {"n": 6_000}]
    assert await client.post(big) == 200
    assert await client.post(big) == 200
    await until(lambda: sessions_of(node) == 0)
    assert (await client.poll())["status"] == 410


async def test_a_draining_node_answers_polls_at_once_and_opens_no_session(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    waiting = asyncio.create_task(client.poll())
    await are_polled(node)
    await asyncio.wait_for(node.endpoint.drain(), SOON / 2)
    # Not 410: after it, phoenix.js before 1.8.5 would believe that its channels are still joined.
    assert await waiting == {"status": 500}
    assert await client.poll() == {"status": 500}
    assert await client.request("GET", {"token": client.jwt, "vsn": "2.0.0"}) == {"status": 500}


async def test_a_user_with_too_many_sessions_loses_the_one_polled_longest_ago(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    (node,) = await cluster.start(max_longpoll_sessions_per_user=2)
    clients = [LongPollClient(http, [node], user_id) for user_id in (1, 1, 2)]
    for client in clients:
        await client.open()
    await clients[0].join("lab:ok")
    third = LongPollClient(http, [node])
    await third.open()
    assert [await client.post() for client in (*clients, third)] == [200, 410, 200, 200]
