"""Tests how a client opens a long-polling session: tokens, versions, origins and methods."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.gateway.transports.longpoll.client import (
    Cluster,
    LongPollClient,
    connected,
    sessions_of,
)
from tests.lab.tokens import token_of
from tests.support.secret import JWT_SECRET


async def test_a_get_with_a_jwt_opens_a_session(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    answer = await client.request("GET", {"token": client.jwt, "vsn": "2.0.0"})
    assert sorted(answer) == ["messages", "status", "token"]
    assert (answer["status"], answer["messages"]) == (410, [])
    assert client.jwt not in answer["token"]
    assert sessions_of(node) == 1


async def test_a_session_can_be_opened_with_a_trailing_slash(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    async with http.get(node.longpoll_url + "/", params={"token": token_of(1), "vsn": "2.0.0"}) as response:
        assert (await response.json())["status"] == 410


async def test_a_jwt_in_the_header_wins_over_one_in_the_query(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    header = {"X-Phoenix-AuthToken": client.jwt}
    assert (await client.request("GET", {"vsn": "2.0.0"}, headers=header))["status"] == 410
    assert (await client.request("GET", {"token": "bad", "vsn": "2.0.0"}, headers=header))["status"] == 410
    bad = {"X-Phoenix-AuthToken": "bad"}
    assert (await client.request("GET", {"token": client.jwt, "vsn": "2.0.0"}, headers=bad)) == {"status": 403}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"vsn": "2.0.0"},
        {"token": "", "vsn": "2.0.0"},
        {"token": "null", "vsn": "2.0.0"},
        {"token": "no.jwt.atall", "vsn": "2.0.0"},
        {"token": token_of(1, seconds=-1), "vsn": "2.0.0"},
        {"token": token_of(1, secret=JWT_SECRET[::-1]), "vsn": "2.0.0"},
        {"token": token_of(1), "vsn": "2"},
        {"token": token_of(1), "vsn": "2.1.0"},
        {"token": token_of(1), "vsn": ""},
        [("token", token_of(1)), ("vsn", "2.0.0"), ("token", "neither")],
    ],
)
async def test_an_open_with_a_bad_token_or_version_is_refused(
    http: aiohttp.ClientSession, cluster: Cluster, params: Any
) -> None:
    (node,) = await cluster.start()
    assert await LongPollClient(http, [node]).request("GET", params) == {"status": 403}
    assert sessions_of(node) == 0


@pytest.mark.parametrize(
    ("origin", "status"), [("https://example.com", 410), ("https://evil.example", 403), ("null", 403), (None, 410)]
)
async def test_a_foreign_origin_is_refused(
    http: aiohttp.ClientSession, cluster: Cluster, origin: str | None, status: int
) -> None:
    (node,) = await cluster.start(allowed_origins=("https://example.com",))
    client = LongPollClient(http, [node])
    headers = {} if origin is None else {"Origin": origin}
    answer = await client.request("GET", {"token": client.jwt, "vsn": "2.0.0"}, headers=headers)
    assert answer["status"] == status


async def test_a_foreign_origin_cannot_use_an_open_session(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster, allowed_origins=("https://example.com",))
    foreign = {"Origin": "https://evil.example"}
    assert await client.request("GET", {"token": client.token}, headers=foreign) == {"status": 403}
    assert await client.request("POST", {"token": client.token}, headers=foreign) == {"status": 403}


async def test_a_preflight_allows_the_headers_of_the_client(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    asked = {"Origin": "https://example.com", "Access-Control-Request-Headers": "x-phoenix-authtoken,x-my-own"}
    async with http.options(node.longpoll_url, headers=asked) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert response.headers["access-control-allow-headers"] == "x-phoenix-authtoken,x-my-own"
    async with http.options(node.longpoll_url) as response:
        allowed = response.headers["access-control-allow-headers"].split(", ")
        assert {"content-type", "x-phoenix-authtoken", "x-phoenix-longpoll-token"} <= set(allowed)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_400(http: aiohttp.ClientSession, cluster: Cluster, method: str) -> None:
    (node,) = await cluster.start()
    async with http.request(method, node.longpoll_url, params={"token": token_of(1), "vsn": "2.0.0"}) as response:
        assert (response.status, await response.text()) == (400, "")
    assert sessions_of(node) == 0
