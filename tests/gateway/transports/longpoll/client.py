"""Lab nodes in the test's own loop, and a long-polling client that sends its requests to the nodes in turn."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp

from gateway.runtime.endpoint import new_node_id
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.pubsub.redis import RedisBroker
from shared.settings import Settings
from tests.lab.server import LabNode, start_lab_node
from tests.lab.tokens import token_of
from tests.support.secret import JWT_SECRET

SOON = 10.0
"""Seconds after which a test stops waiting for something, and fails."""
NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}
OK_REPLY = {"response": {}, "status": "ok"}

SETTINGS = Settings(jwt_secrets=(JWT_SECRET,), node_call_seconds=1.0, drain_seconds=0.1)


class Cluster:
    """Starts nodes that share a broker: Redis if a URL is given, else a broker in memory."""

    def __init__(self, redis_url: str = "") -> None:
        self._redis_url = redis_url
        self._hub = MemoryHub()
        self.nodes: list[LabNode] = []

    async def start(self, count: int = 1, **settings: Any) -> list[LabNode]:
        for _ in range(count):
            given = replace(SETTINGS, redis_url=self._redis_url, **settings)
            node_id = new_node_id()
            broker = RedisBroker(given, node_id) if self._redis_url else MemoryBroker(self._hub)
            node = await start_lab_node(given, broker, node_id=node_id, shutdown_seconds=0.1)
            self.nodes.append(node)
        return self.nodes

    async def stop(self) -> None:
        for node in self.nodes:
            await node.stop()


async def are_polled(node: LabNode, count: int = 1) -> None:
    """Wait until polls wait at `count` of the node's sessions."""
    sessions: Any = node.endpoint.connections
    async with asyncio.timeout(SOON):
        while sum(session._poll is not None for session in sessions) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class LongPollClient:
    """A client that sends its requests to the nodes in turn, or to the node whose number is given."""

    def __init__(self, http: aiohttp.ClientSession, nodes: Sequence[LabNode | str], user_id: int = 1) -> None:
        """`nodes` are nodes or URLs."""
        self._http = http
        self._urls = [node if isinstance(node, str) else node.longpoll_url for node in nodes]
        self._turn = itertools.count()
        self.jwt = token_of(user_id)
        self.token = ""
        self.received: list[Any] = []

    def url(self, node: int | None = None) -> str:
        return self._urls[next(self._turn) % len(self._urls) if node is None else node]

    async def request(
        self,
        method: str,
        params: Any = None,
        *,
        node: int | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> dict[str, Any]:
        """Send a request, check the HTTP status and the CORS headers of the answer, and return its JSON body."""
        async with asyncio.timeout(SOON + 20):
            async with self._http.request(
                method, self.url(node), params=params, headers=headers, data=data
            ) as response:
                assert response.status == 200
                assert response.headers["access-control-allow-origin"] == "*"
                assert response.headers["cache-control"] == "no-store"
                body: dict[str, Any] = await response.json()
                return body

    async def open(self, vsn: str = "2.0.0", node: int | None = None) -> str:
        answer = await self.request("GET", {"token": self.jwt, "vsn": vsn}, node=node)
        assert (answer["status"], answer["messages"]) == (410, [])
        self.token = answer["token"]
        return self.token

    async def poll(self, node: int | None = None) -> dict[str, Any]:
        """Poll as phoenix.js does, with the session's token after the user's token."""
        params = [("token", self.jwt), ("vsn", "2.0.0"), ("token", self.token)]
        return await self.request("GET", params, node=node)

    async def post(self, *frames: Any, node: int | None = None, headers: Mapping[str, str] = NDJSON) -> int:
        """Post frames in one body, and return the status. A frame is a text, or a value that becomes JSON."""
        body = "\n".join(frame if isinstance(frame, str) else json.dumps(frame) for frame in frames)
        data = io.BytesIO(body.encode())
        answer = await self.request("POST", {"token": self.token}, node=node, headers=headers, data=data)
        status: int = answer["status"]
        return status

    async def join(self, topic: str, join_ref: str = "1") -> None:
        assert await self.post([join_ref, join_ref, topic, "phx_join", {}]) == 200
        (answer,) = await self.gets(1)
        assert answer == [join_ref, join_ref, topic, "phx_reply", {"response": {}, "status": "ok"}]

    async def gets(self, count: int) -> list[Any]:
        """Poll until `count` frames have arrived, and return them."""
        async with asyncio.timeout(SOON):
            while len(self.received) < count:
                answer = await self.poll()
                assert answer["status"] in (200, 204), answer
                self.received += [json.loads(message) for message in answer["messages"]]
        taken, self.received = self.received[:count], self.received[count:]
        return taken


async def connected(http: aiohttp.ClientSession, cluster: Cluster, **settings: Any) -> tuple[LongPollClient, LabNode]:
    """Start a node, and open a session of user 1 on it."""
    (node,) = await cluster.start(**settings)
    client = LongPollClient(http, [node])
    await client.open()
    return client, node


def sessions_of(node: LabNode) -> int:
    """The number of sessions that are open on the node."""
    return len(node.endpoint.connections)
