"""Tests POSTs to one node: the frames of a body are handled in their order, or none of them is."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import pytest

from tests.gateway.transports.longpoll.client import (
    JSON,
    NDJSON,
    OK_REPLY,
    Cluster,
    LongPollClient,
    connected,
)
from tests.lab.tokens import token_of
from tests.protocol.client_frames import v2_binary


async def test_the_session_may_be_named_in_a_header(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    headers = {"X-Phoenix-Longpoll-Token": client.token, "X-Phoenix-AuthToken": client.jwt}
    frame = json.dumps(["1", "1", "lab:ok", "phx_join", {}])
    assert await client.request("POST", headers={**headers, **NDJSON}, data=frame) == {"status": 200}
    answer = await client.request("GET", {"token": client.jwt, "vsn": "2.0.0"}, headers=headers)
    assert (answer["status"], len(answer["messages"]), answer["token"]) == (200, 1, client.token)


async def test_a_batch_of_a_hundred_frames_is_handled_in_order(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    frames = [["1", "0", "lab:ok", "phx_join", {}]]
    frames += [["1", str(number), "lab:ok", "echo", {"n": number}] for number in range(1, 100)]
    assert await client.post(*frames) == 200
    assert [frame[1] for frame in await client.gets(100)] == [str(number) for number in range(100)]


async def test_a_leave_and_a_join_in_one_batch_are_both_answered(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    assert await client.post(["1", "2", "lab:ok", "phx_leave", {}], ["3", "3", "lab:ok", "phx_join", {}]) == 200
    assert await client.gets(3) == [
        ["1", "2", "lab:ok", "phx_reply", OK_REPLY],
        ["1", "1", "lab:ok", "phx_close", {}],
        ["3", "3", "lab:ok", "phx_reply", OK_REPLY],
    ]


async def test_older_clients_send_concurrent_posts_of_one_json_frame(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    pushes = [["1", f"{number}", "lab:ok", "echo", {}] for number in range(20)]
    assert await asyncio.gather(*(client.post(push, headers=JSON) for push in pushes)) == [200] * 20
    assert sorted(int(frame[1]) for frame in await client.gets(20)) == list(range(20))


async def test_version_1_frames_go_both_ways(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    await client.open(vsn="1.0.0")
    join = {"topic": "lab:ok", "event": "phx_join", "payload": {}, "ref": 1}
    assert await client.post(join, headers=JSON) == 200
    assert await client.post({**join, "event": "echo", "ref": 2}, headers=NDJSON) == 200
    replies = [{"topic": "lab:ok", "event": "phx_reply", "payload": OK_REPLY, "ref": ref} for ref in (1, 2)]
    assert await client.gets(2) == replies


async def test_a_line_of_base64_is_a_binary_frame_and_gets_a_binary_reply(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    push = base64.b64encode(v2_binary("1", "2", "lab:ok", "binary_echo", b"\x00\xff")).decode()
    assert await client.post(push, ["1", "3", "lab:ok", "echo", {}]) == 200
    messages = (await client.poll())["messages"]
    assert base64.b64decode(messages[0]) == b"\x01\x01\x01\x06\x0212lab:okok\x00\xff"
    assert json.loads(messages[1])[1] == "3"


async def test_an_empty_batch_is_200(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    assert await client.post("") == 200
    await client.join("lab:ok")


async def test_no_frame_of_a_batch_with_a_bad_frame_is_handled(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    listener, sender = LongPollClient(http, [node], 1), LongPollClient(http, [node], 2)
    for client in (listener, sender):
        await client.open()
        await client.join("lab:room:1")
    assert await sender.post(["1", "2", "lab:room:1", "broadcast", {"from": "the batch"}], "nonsense") == 400
    await sender.open()
    await sender.join("lab:room:1")
    assert await sender.post(["1", "2", "lab:room:1", "broadcast", {"from": "the next"}]) == 200
    assert await listener.gets(1) == [[None, None, "lab:room:1", "shout", {"from": "the next"}]]


@pytest.mark.parametrize("count", [101, 250, 3000])
async def test_a_body_with_many_frames_is_handled_in_order(
    http: aiohttp.ClientSession, cluster: Cluster, count: int
) -> None:
    """phoenix.js before 1.8.6 sends all pushes of one tick in one POST."""
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    assert await client.post(*(["1", number, "lab:ok", "echo", {}] for number in range(count))) == 200
    assert [frame[1] for frame in await client.gets(count)] == list(range(count))


@pytest.mark.parametrize("token", ["", "nonsense", token_of(1)])
async def test_a_post_without_a_session_is_410(http: aiohttp.ClientSession, cluster: Cluster, token: str) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    answer = await client.request("POST", {"token": token, "vsn": "2.0.0"}, data="[]", headers=NDJSON)
    assert answer == {"status": 410}
