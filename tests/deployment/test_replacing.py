"""Processes behind nginx are stopped, replaced or killed: clients go on with the others, and miss nothing."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections import Counter
from io import BytesIO

import aiohttp
import pytest

from development.child import happens
from tests.deployment.conftest import Deployment
from tests.end_to_end.faults.load import Load
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import Rest, Socket
from tests.support.processes import Node
from tests.support.waiting import PATIENCE_SECONDS

LONGEST_AWAY_SECONDS = 10.0
"""Even a busy machine needs less. Without a fault, nobody stays away for longer."""


async def connected(gateway: Node) -> int:
    """The number of clients that are connected to a gateway."""
    async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/metrics") as response:
        text = await response.text()
    found = int(float(re.findall(r"^gateway_connections (\S+)$", text, re.MULTILINE)[0]))
    assert 10 <= found <= 30
    return found


async def test_no_message_is_lost_when_a_gateway_drains_during_chat(own_deployment: Deployment) -> None:
    # Each of these people writes more often than real people do.
    async with Load(own_deployment.settings, [own_deployment.nginx.socket_url], users=40, rate=200) as load:
        await load.more_acknowledged(200)
        there = await connected(own_deployment.gateways[0])
        own_deployment.gateways[0].signal(signal.SIGTERM)
        await load.until(lambda: sum(user.connects > 1 and user.joined for user in load.users) == there)
        assert await own_deployment.gateways[0].ended() == 0
        await load.more_acknowledged(200)
        reckoning = await load.reckon()
        # All people moved to the other gateway without an error.
        assert {code for user in load.users for code in user.close_codes} == {1012}
        assert not any(user.errors for user in load.users)
    assert reckoning.received == 2 * reckoning.stored


async def test_while_gateways_are_replaced_in_turn_nobody_stays_away_for_long(
    own_deployment: Deployment,
) -> None:
    """nginx sees no request of these people end, and must still use a new gateway after the old one has failed once."""
    async with Load(own_deployment.settings, [own_deployment.nginx.socket_url], users=200, rate=200) as load:
        for number in (0, 1, 0):
            await load.more_acknowledged(200)
            await own_deployment.replace_gateway(number)
            await load.until_all_joined()
        await load.more_acknowledged(200)
        assert load.longest_away <= LONGEST_AWAY_SECONDS
        assert not sum((user.refusals for user in load.users), Counter())
        reckoning = await load.reckon()
    assert reckoning.received == 2 * reckoning.stored


async def test_while_gateways_are_killed_in_turn_nobody_stays_away_for_long(
    own_deployment: Deployment,
) -> None:
    async with Load(own_deployment.settings, [own_deployment.nginx.socket_url], users=100, rate=200) as load:
        # When the second gateway is killed, everybody has to move.
        for number in (0, 1):
            await load.more_acknowledged(200)
            own_deployment.gateways[number].kill()
            await own_deployment.start_gateway(number)
            await load.until_all_joined()
        await load.more_acknowledged(200)
        assert load.longest_away <= LONGEST_AWAY_SECONDS
        reckoning = await load.reckon()
    assert reckoning.received == 2 * reckoning.stored


async def test_no_message_is_lost_when_a_gateway_is_killed_during_chat(own_deployment: Deployment) -> None:
    async with Load(own_deployment.settings, [own_deployment.nginx.socket_url], users=40, rate=200) as load:
        await load.more_acknowledged(200)
        there = await connected(own_deployment.gateways[0])
        own_deployment.gateways[0].kill()
        await load.until(lambda: sum(user.connects > 1 and user.joined for user in load.users) >= there)
        await load.more_acknowledged(200)
        reckoning = await load.reckon()
    assert reckoning.received == 2 * reckoning.stored


async def test_polls_go_on_after_a_gateway_has_stopped(own_deployment: Deployment) -> None:
    async with Rest(own_deployment.nginx.url) as rest, aiohttp.ClientSession() as http:
        ann = await rest.register("Ann")
        client = LongPollClient(http, [f"{own_deployment.nginx.url}/socket/longpoll"])
        client.jwt = ann.token
        await client.open()
        assert await own_deployment.gateways[0].stop() == 0
        # The session may have been on the replaced gateway: then the poll gets a new session.
        while (answer := await client.poll())["status"] in (204, 410):
            if answer["status"] == 410:
                client.token = answer["token"]
                await client.join(ann.topic)
            frame = ["1", "9", ann.topic, "send", {"to": str(ann.id), "message": "To myself"}]
            assert await client.post(frame) == 200
        assert answer["status"] == 200


async def test_no_request_fails_when_an_api_is_stopped_under_load(own_deployment: Deployment) -> None:
    statuses: list[int] = []
    enough = asyncio.Event()

    async def ask(client: aiohttp.ClientSession) -> None:
        while not enough.is_set():
            async with client.get(f"{own_deployment.nginx.url}/api/categories") as response:
                await response.read()
                statuses.append(response.status)

    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(ask(client))
        await happens(lambda: len(statuses) >= 200, 30)
        assert await own_deployment.apis[0].stop() == 0
        before = len(statuses)
        await happens(lambda: len(statuses) >= before + 200, 30)
        enough.set()
    assert len(statuses) >= 400
    assert set(statuses) == {200}


async def test_nginx_answers_503_if_no_process_is_left(own_deployment: Deployment) -> None:
    for node in (*own_deployment.gateways, *own_deployment.apis):
        node.kill()
    async with aiohttp.ClientSession() as client:
        for path in ("/api/listings", "/"):
            async with client.get(own_deployment.nginx.url + path) as response:
                assert (response.status, response.content_type) == (503, "application/problem+json")
                assert (await response.json(content_type=None))["type"] == "/problems/unavailable"
                assert response.headers["Retry-After"] == "2"
        # nginx itself is healthy, and its log shows that no process answered.
        for path, status in (("/health/nginx", 200), ("/health/ready", 503)):
            async with client.get(own_deployment.nginx.url + path) as response:
                assert response.status == status
    assert [line["status"] for line in await own_deployment.nginx.logged("/health/ready", 1)] == ["503"]


@pytest.mark.parametrize("path", ["/socket/longpoll?vsn=2.0.0", "/socket/websocket?vsn=2.0.0", "/socket/other"])
async def test_no_answer_below_socket_is_json_if_no_gateway_is_left(own_deployment: Deployment, path: str) -> None:
    """phoenix.js reads the `status` of any JSON as its own protocol's, and stops for good at an unknown one."""
    for gateway in own_deployment.gateways:
        gateway.kill()
    url = own_deployment.nginx.url + path
    async with aiohttp.ClientSession() as client:
        for method in ("GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE"):
            async with client.request(method, url) as response:
                assert (response.status, response.content_type) == (503, "text/plain")
                assert response.headers["Retry-After"] == "2"
                assert not is_json(await response.text())
        # nginx does not pass on so large a body.
        async with client.post(url, data=BytesIO(bytes(12 * 1024**2))) as response:
            assert (response.status, response.content_type) == (413, "text/plain")
            assert not is_json(await response.text())


async def test_no_bad_request_below_socket_is_answered_in_json(own_deployment: Deployment) -> None:
    """nginx itself answers bad requests, before it chooses a location."""
    heads = [
        b"GET /socket/longpoll HTTP/1.1\r\n\r\n",
        b"GET /socket/longpoll HTTP/3.3\r\nHost: a\r\n\r\n",
        b"GET /socket/longpoll HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /socket/longpoll?" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /socket/longpoll HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"TRACE /socket/longpoll HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /socket/longpoll HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: other\r\n\r\n",
        b"POST /socket/longpoll HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET /socket/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    for head in heads:
        reader, writer = await asyncio.open_connection("127.0.0.1", own_deployment.nginx.port)
        writer.write(head)
        # nginx answers a request that it does not understand, and closes the connection.
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await reader.read()
        writer.close()
        status = answer.split(b" ", 2)[1]
        assert status.startswith((b"4", b"5")), head[:60]
        assert not is_json(answer.partition(b"\r\n\r\n")[2].decode()), head[:60]


def is_json(text: str) -> bool:
    """Whether phoenix.js reads a text as JSON; it does not if the text is empty."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def test_no_token_is_in_any_log_whatever_goes_wrong(own_deployment: Deployment) -> None:
    async with Rest(own_deployment.nginx.url) as rest:
        ann = await rest.register("Ann")
    url = own_deployment.nginx.socket_url
    async with await Socket.connect(url, ann.token) as socket:
        await socket.join(ann.topic)
        for gateway in own_deployment.gateways:
            gateway.kill()
        assert await socket.closed()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await Socket.connect(url, ann.token)
    async with aiohttp.ClientSession() as client:
        params = {"token": ann.token, "vsn": "2.0.0"}
        async with client.get(f"{own_deployment.nginx.url}/socket/longpoll", params=params) as response:
            assert response.status == 503
    assert {line["status"] for line in await own_deployment.nginx.logged("/socket/websocket", 2)} == {"101", "503"}
    assert {line["status"] for line in await own_deployment.nginx.logged("/socket/longpoll", 1)} == {"503"}
    nodes = (*own_deployment.gateways, *own_deployment.apis)
    written = [own_deployment.nginx.output(), *(node.output() for node in nodes)]
    assert not any(ann.token in text for text in written)
