"""The Phoenix client behind a proxy that refuses WebSockets: it falls back to long polling, and chats.

The proxy gives requests to the gateway nodes in turn, like a load balancer without sticky sessions.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import hdrs, web

from shared.access.tokens import Tokens
from shared.domain.users import Role
from tests.lab.__main__ import DEFAULT_SECRET
from tests.support.node import find_node
from tests.support.processes import Node, Processes

SCRIPT = Path(__file__).parent / "js" / "longpoll.js"
PATIENCE_SECONDS = 30.0
ALICE, BOB = 7, 12


class Proxy:
    """A load balancer: each request goes to the next one of the first `using` nodes that answers."""

    def __init__(self, nodes: list[Node]) -> None:
        self._urls = [node.url for node in nodes]
        self._turn = itertools.count()
        self.using = len(nodes)
        self.served = [0 for _ in nodes]
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as client:
            self._client = client
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if hdrs.UPGRADE in request.headers:
            return web.Response(status=502)
        body = await request.read()
        for _ in range(self.using):
            number = next(self._turn) % self.using
            headers = {name: value for name, value in request.headers.items() if name.title() not in _HOP_BY_HOP}
            try:
                async with self._client.request(
                    request.method, self._urls[number] + request.raw_path, headers=headers, data=body
                ) as response:
                    content = await response.read()
            except aiohttp.ClientError:
                continue
            self.served[number] += 1
            return web.Response(status=response.status, body=content, content_type=response.content_type)
        return web.Response(status=502)


_HOP_BY_HOP = {"Host", "Connection", "Content-Length", "Transfer-Encoding", "Accept-Encoding"}


class Clients:
    """The JavaScript clients; `told` has their reports in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []

    async def until(self, *lines: dict[str, Any], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the clients have reported all of these, in any order."""
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            while any(line not in self.told for line in lines):
                line = await self._process.stdout.readline()
                assert line, "the clients ended"
                self.told.append(json.loads(line))

    def send(self, name: str, to: int, message: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"name": name, "to": str(to), "message": message}).encode() + b"\n")

    def messages(self, name: str) -> list[str]:
        return [line["message"] for line in self.told if line["name"] == name and "message" in line]


@asynccontextmanager
async def clients(url: str, auth_token: bool = False) -> AsyncIterator[Clients]:
    """Alice and Bob, who have joined by long polling."""
    tokens = Tokens((DEFAULT_SECRET,), 600)
    people = [
        {"name": name, "user": user, "token": tokens.issue(user, Role.USER, None)}
        for name, user in (("alice", ALICE), ("bob", BOB))
    ]
    arguments = {"url": url.replace("http:", "ws:") + "/socket", "authToken": auth_token, "clients": people}
    found = find_node()
    assert found is not None
    process = await asyncio.create_subprocess_exec(
        found.node, SCRIPT, json.dumps(arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        both = Clients(process)
        await both.until(*({"name": name, "joined": True} for name in ("alice", "bob")))
        assert [line["open"] for line in both.told if "open" in line] == ["longpoll", "longpoll"]
        yield both
    finally:
        if process.stdin is not None:
            process.stdin.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.communicate()


def message(name: str, sender: int, recipient: int, text: str) -> dict[str, Any]:
    return {"name": name, "from": str(sender), "to": str(recipient), "message": text}


@pytest.mark.parametrize("auth_token", [False, True], ids=["token in the query", "authToken"])
async def test_people_chat_by_the_fallback_through_two_nodes_in_turn(processes: Processes, auth_token: bool) -> None:
    redis = processes.settings.redis_url
    nodes = [await processes.lab("--redis-url", redis) for _ in range(2)]
    async with Proxy(nodes).running() as proxy, clients(proxy.url, auth_token) as both:
        for number in range(20):
            both.send("alice", BOB, f"ping {number}")
            both.send("bob", ALICE, f"pong {number}")
        last = [("ping 19", ALICE, BOB), ("pong 19", BOB, ALICE)]
        await both.until(
            {"name": "alice", "sent": "ping 19"},
            {"name": "bob", "sent": "pong 19"},
            *(message(name, sender, to, text) for name in ("alice", "bob") for text, sender, to in last),
        )
        for name in ("alice", "bob"):
            received = both.messages(name)
            assert len(received) == 40, "each of the two receives each message once"
            for word in ("ping", "pong"):
                assert [text for text in received if word in text] == [f"{word} {number}" for number in range(20)]
        assert all(proxy.served)


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "drained"])
async def test_the_clients_of_a_lost_node_join_again_at_another_one(processes: Processes, is_killed: bool) -> None:
    redis = processes.settings.redis_url
    nodes = [await processes.lab("--redis-url", redis) for _ in range(2)]
    proxy = Proxy(nodes)
    proxy.using = 1
    async with proxy.running(), clients(proxy.url) as both:
        proxy.using = 2
        both.send("alice", BOB, "hello")
        await both.until(message("bob", ALICE, BOB, "hello"), message("alice", ALICE, BOB, "hello"))
        both.told.clear()
        if is_killed:
            nodes[0].kill()
        else:
            assert await nodes[0].stop() == 0
        await both.until({"name": "alice", "joined": True}, {"name": "bob", "joined": True})
        # These clients do not repeat a push that is lost with its connection. On a busy machine a poll may come so late
        # that its session is replaced once more.
        for text in ("still there?", "and now?", "and now at last?"):
            both.send("alice", BOB, text)
            with suppress(TimeoutError):
                await both.until(message("bob", ALICE, BOB, text), {"name": "alice", "sent": text}, seconds=10)
                break
        else:
            pytest.fail("no message arrived after the clients had joined again")
