"""Tests a session whose token comes in a header, as from phoenix.js 1.9: the URL is the same for every request."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.gateway.transports.longpoll.client import NDJSON, OK_REPLY, Cluster, LongPollClient

SESSION_TOKEN = "X-Phoenix-Longpoll-Token"
AUTH_TOKEN = "X-Phoenix-AuthToken"


class HeaderClient(LongPollClient):
    """A client that sends what phoenix.js 1.9 sends. The user's token is a parameter, or `authToken`."""

    def __init__(self, http: aiohttp.ClientSession, nodes: Any, user_id: int = 1, *, auth_token: bool = False) -> None:
        super().__init__(http, nodes, user_id)
        self._params = {"vsn": "2.0.0"} if auth_token else {"token": self.jwt, "vsn": "2.0.0"}
        self._auth = {AUTH_TOKEN: self.jwt} if auth_token else {}

    @property
    def _session(self) -> dict[str, str]:
        return {SESSION_TOKEN: self.token} if self.token else {}

    async def poll(self, node: int | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json", **self._auth, **self._session}
        answer = await self.request("GET", self._params, node=node, headers=headers)
        self.token = answer.get("token") or self.token
        return answer

    async def post(self, *frames: Any, node: int | None = None, headers: Any = NDJSON) -> int:
        body = "\n".join(map(json.dumps, frames))
        answer = await self.request("POST", self._params, node=node, headers={**headers, **self._session}, data=body)
        return int(answer["status"])


@pytest.mark.parametrize("auth_token", [False, True], ids=["token in the query", "authToken"])
async def test_a_session_is_opened_used_and_replaced_with_its_token_in_a_header(
    http: aiohttp.ClientSession, cluster: Cluster, auth_token: bool
) -> None:
    nodes = await cluster.start(2, longpoll_window_seconds=0.3)
    client = HeaderClient(http, nodes, auth_token=auth_token)
    opened = await client.poll()
    assert (opened["status"], opened["messages"]) == (410, [])
    await client.join("lab:ok")
    assert await client.post(["1", "2", "lab:ok", "echo", {}], [None, "3", "lab:ok", "echo", {}]) == 200
    assert await client.gets(2) == [["1", ref, "lab:ok", "phx_reply", OK_REPLY] for ref in ("2", "3")]
    assert (await client.poll())["status"] == 204
    token = client.token
    # phoenix.js closes at 410 if it had a token, and begins anew without one.
    for node in nodes:
        node.endpoint.disconnect(1)
    assert await client.post(["1", "4", "lab:ok", "echo", {}]) == 410
    assert (await client.poll())["status"] == 410
    client.token = ""
    assert (await client.poll())["status"] == 410
    assert client.token != token
    await client.join("lab:ok", "5")


async def test_the_header_counts_and_the_query_beside_it_does_not(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    (node,) = await cluster.start(longpoll_window_seconds=0.2)
    one, two = HeaderClient(http, [node], 1), HeaderClient(http, [node], 2)
    await one.poll()
    await two.poll()
    frame = json.dumps(["1", "1", "lab:ok", "phx_join", {}])

    async def post(header: str, query: str) -> int:
        headers = {SESSION_TOKEN: header, **NDJSON}
        return int((await one.request("POST", {"token": query}, headers=headers, data=frame))["status"])

    assert await post(one.token, "bogus") == 200
    assert await post(one.token, two.token) == 200
    assert await post("bogus", one.token) == 410
    assert await post("", one.token) == 410
    assert len(await one.gets(2)) == 2
    assert (await two.poll())["status"] == 204
    # A header without a session opens one, if the user may.
    bogus = {SESSION_TOKEN: "bogus"}
    answer = await one.request("GET", {"token": one.jwt, "vsn": "2.0.0"}, headers=bogus)
    assert (answer["status"], answer["messages"]) == (410, [])
    assert answer["token"] not in (one.token, two.token)
    assert await one.request("GET", {"token": one.token, "vsn": "2.0.0"}, headers=bogus) == {"status": 403}


async def test_a_page_of_another_origin_may_send_the_headers(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    names = f"accept,{AUTH_TOKEN},{SESSION_TOKEN}".lower()
    asked = {
        "Origin": "https://example.com",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": names,
    }
    async with http.options(node.longpoll_url, headers=asked) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-headers"] == names
        assert response.headers["access-control-allow-origin"] == "*"
