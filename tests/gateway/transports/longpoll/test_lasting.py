"""Tests that long polling goes on with every phoenix.js: slow answers are kept alive, lost sessions are replaced."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.protocol.close_codes import DISCONNECTED, RESTARTING
from tests.gateway.transports.longpoll.client import JSON, NDJSON, SOON, Cluster, LongPollClient, are_polled

# On 410, phoenix.js before 1.8.5 believes that it is connected and that its channels are still joined. So it gets 500.
FAILED = {"status": 500}


@asynccontextmanager
async def poll_of(http: aiohttp.ClientSession, client: LongPollClient) -> AsyncIterator[aiohttp.ClientResponse]:
    """Poll, and yield the answer as soon as its head is there."""
    async with http.get(client.url(), params=[("token", client.jwt), ("token", client.token)]) as response:
        yield response


async def client_of_a_lost_session(http: aiohttp.ClientSession, cluster: Cluster) -> LongPollClient:
    """A client whose session was client_of_a_lost_session. It has the token of the session that replaces it."""
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    await client.open()
    await client.join("lab:ok")
    next(iter(node.endpoint.connections)).close(RESTARTING)
    answer = await client.poll()
    assert (answer["status"], answer["messages"]) == (410, [])
    client.token = answer["token"]
    return client


async def test_a_waiting_poll_gets_blanks_that_keep_it_alive(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start(longpoll_beat_seconds=0.1)
    client = LongPollClient(http, [node])
    await client.open()
    await client.join("lab:ok")
    async with asyncio.timeout(SOON), poll_of(http, client) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert await response.content.readexactly(3) == b"   "
        assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
        answer = json.loads(await response.read())
    assert [json.loads(message)[1] for message in answer["messages"]] == ["2"]
    # Delivered messages are not sent again.
    assert await client.post(["1", "3", "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await client.gets(1)] == ["3"]


async def test_an_immediate_answer_has_no_blanks(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    await client.open()
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}]) == 200
    async with poll_of(http, client) as response:
        assert (await response.read()).startswith(b"{")
        assert "Content-Length" in response.headers


async def test_messages_are_kept_when_the_client_goes_after_the_first_blank(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    (node,) = await cluster.start(longpoll_beat_seconds=0.05)
    client = LongPollClient(http, [node])
    await client.open()
    await client.join("lab:ok")
    async with asyncio.timeout(SOON), poll_of(http, client) as response:
        await response.content.readexactly(1)
        response.close()
    for ref in ("2", "3"):
        assert await client.post(["1", ref, "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await client.gets(2)] == ["2", "3"]


async def test_a_post_to_a_busy_session_gets_blanks_that_keep_it_alive(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    (node,) = await cluster.start(longpoll_beat_seconds=0.05, longpoll_window_seconds=1.0, max_backlog_messages=2)
    client = LongPollClient(http, [node])
    await client.open()
    frames = [["1", "1", "lab:slow", "phx_join", {}]]
    frames += [["1", str(number), "lab:slow", "echo", {}] for number in range(2, 6)]
    data = io.BytesIO("\n".join(map(json.dumps, frames)).encode())
    # Until the slow join is done, the node takes only as many frames as fit in the backlog.
    async with http.post(client.url(), params={"token": client.token}, data=data, headers=NDJSON) as response:
        body = await response.read()
    assert body.startswith(b" ")
    assert json.loads(body)["status"] == 200


async def test_a_replacing_session_without_a_join_is_ended(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client = await client_of_a_lost_session(http, cluster)
    assert (await asyncio.wait_for(client.poll(), SOON / 2))["status"] == 500
    assert (await client.post(["1", "9", "lab:ok", "echo", {}])) == 410


async def test_a_push_to_a_channel_of_a_lost_session_is_410(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client = await client_of_a_lost_session(http, cluster)
    assert await client.post([None, "8", "phoenix", "heartbeat", {}]) == 200
    assert await client.post(["1", "9", "lab:ok", "echo", {}]) == 410


async def test_a_replacing_session_with_a_join_goes_on(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client = await client_of_a_lost_session(http, cluster)
    waiting = asyncio.create_task(client.poll())
    assert await client.post(["2", "2", "lab:ok", "phx_join", {}]) == 200
    assert [json.loads(message)[1] for message in (await waiting)["messages"]] == ["2"]
    # A session without a join would have ended within this time.
    waiting = asyncio.create_task(client.poll())
    assert not (await asyncio.wait((waiting,), timeout=1.5))[0]
    assert await client.post(["2", "3", "lab:ok", "echo", {}]) == 200
    assert [json.loads(message)[1] for message in (await waiting)["messages"]] == ["3"]


async def test_a_join_that_arrives_after_a_newer_one_does_not_replace_it(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    """phoenix.js up to 1.6 posts all waiting frames at once, each in its own POST: also an old join and a new one."""
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    await client.open()
    for join_ref in ("10", "9"):
        assert await client.post([join_ref, join_ref, "lab:ok", "phx_join", {}], headers=JSON) == 200
    assert [frame[0] for frame in await client.gets(2)] == ["10", "9"]
    assert await client.post(["10", "11", "lab:ok", "echo", {}]) == 200
    assert [frame[:2] for frame in await client.gets(1)] == [["10", "11"]]


async def test_a_poll_of_a_disconnected_user_gets_no_new_session(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    await client.open()
    waiting = asyncio.create_task(client.poll())
    await are_polled(node)
    client.jwt = "no longer good"
    params: Any = [("token", "no longer good"), ("vsn", "2.0.0"), ("token", client.token)]
    # The newer poll replaces the older one.
    refused = asyncio.create_task(client.request("GET", params))
    assert (await waiting)["status"] == 204
    next(iter(node.endpoint.connections)).close(DISCONNECTED)
    assert await refused == {"messages": [], "status": 410, "token": None}
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 410
    assert await client.request("GET", params) == {"status": 403}


@pytest.mark.parametrize("node", [0, 1], ids=["on the node itself", "through another"])
async def test_a_poll_at_a_draining_node_is_told_to_start_again(
    http: aiohttp.ClientSession, cluster: Cluster, node: int
) -> None:
    nodes = await cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    waiting = asyncio.create_task(client.poll(node=node))
    await are_polled(nodes[0])
    await nodes[0].endpoint.drain()
    answer = await asyncio.wait_for(waiting, SOON / 2)
    if node == 0:
        assert answer == FAILED
    else:
        client.token = answer["token"]
        assert (await client.poll(node=1))["status"] == 500
