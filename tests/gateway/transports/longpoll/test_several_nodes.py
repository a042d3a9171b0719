"""Tests long polling on several nodes: any node serves any session, and sessions of dead nodes are replaced."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp

from tests.gateway.transports.longpoll.client import JSON, SOON, Cluster, LongPollClient, are_polled

OK_REPLY = {"response": {}, "status": "ok"}


async def test_requests_of_one_session_alternate_between_nodes(
    http: aiohttp.ClientSession, each_cluster: Cluster
) -> None:
    nodes = await each_cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open()
    await client.join("lab:ok")
    for number in range(20):
        assert await client.post(["1", f"{number}", "lab:ok", "echo", {"n": number}]) == 200
        (answer,) = await client.gets(1)
        assert answer == ["1", f"{number}", "lab:ok", "phx_reply", {"response": {"n": number}, "status": "ok"}]


async def test_every_node_serves_every_session(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(3)
    for holder in range(3):
        client = LongPollClient(http, nodes)
        await client.open(node=holder)
        for through in range(3):
            ref = f"{through}"
            poll = asyncio.create_task(client.poll(node=through))
            topic = f"lab:room:{holder}-{through}"
            assert await client.post([ref, ref, topic, "phx_join", {}], node=(through + 1) % 3) == 200
            messages = (await poll)["messages"]
            assert [json.loads(message) for message in messages] == [[ref, ref, topic, "phx_reply", OK_REPLY]]


async def test_a_poll_through_another_node_ends_after_the_window(
    http: aiohttp.ClientSession, each_cluster: Cluster
) -> None:
    nodes = await each_cluster.start(2, longpoll_window_seconds=0.3)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    before = time.monotonic()
    assert await client.poll(node=1) == {"status": 204, "messages": [], "token": client.token}
    assert time.monotonic() - before >= 0.3


async def test_two_people_on_two_nodes_hear_each_other(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(2)
    one, two = LongPollClient(http, nodes, 1), LongPollClient(http, nodes, 2)
    await one.open(node=0)
    await two.open(node=1)
    for client in (one, two):
        await client.join("lab:room:1")
    assert await one.post(["1", "2", "lab:room:1", "broadcast", {"a": 1}]) == 200
    shout = [None, None, "lab:room:1", "shout", {"a": 1}]
    assert [await one.gets(1), await two.gets(1)] == [[shout], [shout]]


async def test_refusals_reach_clients_at_other_nodes(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    assert await client.post("[" + " " * nodes[0].endpoint.settings.max_message_bytes, node=1) == 413
    waiting = asyncio.create_task(client.poll(node=1))
    assert await client.post("nonsense", node=1, headers=JSON) == 400
    answer = await asyncio.wait_for(waiting, SOON / 2)
    assert answer["status"] == 410
    assert len(nodes[0].endpoint.connections) == 0
    assert len(nodes[1].endpoint.connections) == 1, "the node that got the poll must have the new session"
    assert await client.post("[]", node=1) == 410


async def test_messages_that_another_node_could_not_deliver_are_kept(
    http: aiohttp.ClientSession, each_cluster: Cluster
) -> None:
    nodes = await each_cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    await client.join("lab:ok")
    given_up = asyncio.create_task(client.poll(node=1))
    await are_polled(nodes[0])
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    for ref in ("2", "3"):
        assert await client.post(["1", ref, "lab:ok", "echo", {}], node=0) == 200
    assert [frame[1] for frame in await client.gets(2)] == ["2", "3"]


async def test_a_session_of_a_dead_node_is_replaced(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(2, node_call_seconds=0.3)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    waiting = asyncio.create_task(client.poll(node=1))
    await are_polled(nodes[0])
    await nodes[0].endpoint.broker.stop()
    answer = await asyncio.wait_for(waiting, SOON / 2)
    assert (answer["status"], answer["messages"]) == (410, [])
    assert await client.post("[]", node=1) == 410
    assert (await client.request("GET", {"token": client.token, "vsn": "2.0.0"}, node=1)) == {"status": 403}
    client.token = answer["token"]
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}], node=1) == 200
    assert len((await client.poll(node=1))["messages"]) == 1


async def test_local_sessions_go_on_while_the_node_is_cut_off(
    http: aiohttp.ClientSession, each_cluster: Cluster
) -> None:
    nodes = await each_cluster.start(1)
    client = LongPollClient(http, nodes)
    await client.open()
    await client.join("lab:ok")
    await nodes[0].endpoint.broker.stop()
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await client.gets(1)] == ["2"]


async def test_a_disconnect_ends_sessions_on_other_nodes(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(2)
    one, other = LongPollClient(http, nodes, 1), LongPollClient(http, nodes, 1)
    await one.open(node=0)
    await other.open(node=1)
    await one.join("lab:ok")
    waiting = asyncio.create_task(other.poll(node=0))
    await are_polled(nodes[1])
    assert await one.post(["1", "2", "lab:ok", "disconnect_me", {}]) == 200
    assert (await asyncio.wait_for(waiting, SOON / 2))["status"] == 410


async def test_a_draining_node_ends_polls_that_it_forwards(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    waiting = asyncio.create_task(client.poll(node=1))
    await are_polled(nodes[0])
    await nodes[1].endpoint.drain()
    empty = {"status": 204, "messages": [], "token": client.token}
    assert await asyncio.wait_for(waiting, SOON / 2) == empty
    # The next poll is not held for the whole window.
    assert await asyncio.wait_for(client.poll(node=1), SOON / 2) == empty
    await client.join("lab:ok")


async def test_a_session_of_a_drained_node_is_replaced_at_another_node(
    http: aiohttp.ClientSession, each_cluster: Cluster
) -> None:
    nodes = await each_cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    waiting = asyncio.create_task(client.poll(node=1))
    await are_polled(nodes[0])
    await nodes[0].endpoint.drain()
    answer = await asyncio.wait_for(waiting, SOON / 2)
    assert answer["status"] == 410
    client.token = answer["token"]
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}], node=1) == 200


async def test_large_frames_are_forwarded_between_nodes(http: aiohttp.ClientSession, each_cluster: Cluster) -> None:
    nodes = await each_cluster.start(2)
    client = LongPollClient(http, nodes)
    await client.open(node=0)
    await client.join("lab:ok")
    text = "x" * 900_000
    assert await client.post(["1", "2", "lab:ok", "echo", {"text": text}], node=1) == 200
    (message,) = (await client.poll(node=1))["messages"]
    assert json.loads(message)[4]["response"] == {"text": text}
