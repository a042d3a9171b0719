"""Tests what an operator sees of long polling: frames, refusals and closes are counted, and no token is logged."""

from __future__ import annotations

import logging

import aiohttp
import pytest

from gateway.protocol.close_codes import BAD_FRAME, NOT_POLLED, SLOW, TOO_MANY_SESSIONS
from tests.gateway.counted import counted
from tests.gateway.transports.longpoll.client import (
    Cluster,
    LongPollClient,
    connected,
)
from tests.support.waiting import until


async def test_no_token_reaches_the_log(
    http: aiohttp.ClientSession, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    await client.request("GET", {"token": "an-own-secret", "vsn": "2.0.0"})
    await client.post("nonsense")
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert client.jwt not in logged
    assert client.token not in logged
    assert "an-own-secret" not in logged


async def test_frames_in_both_directions_are_counted(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    assert await client.post(*(["1", str(number), "lab:ok", "echo", {}] for number in range(3))) == 200
    await client.gets(3)
    assert (node.endpoint.counts.frames_in, node.endpoint.counts.frames_out) == (4, 4)


async def test_open_sessions_are_counted_however_they_end(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    other = LongPollClient(http, [node], 2)
    await other.open()
    counts = node.endpoint.counts
    assert (counts.longpolls, len(node.endpoint.connections)) == (2, 2)
    await client.post("no frame")
    await until(lambda: counts.longpolls == 1)
    node.endpoint.disconnect(2)
    await until(lambda: counts.longpolls == 0)
    assert len(node.endpoint.connections) == 0


async def test_every_refusal_is_counted_by_reason(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start(allowed_origins=("https://example.com",))
    client = LongPollClient(http, [node])
    for params in ({"vsn": "2.0.0"}, {"vsn": "3.0.0", "token": client.jwt}, {"vsn": "2.0.0", "token": "bad"}):
        assert await client.request("GET", params) == {"status": 403}
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert await client.request("GET", {"vsn": "2.0.0", "token": client.jwt}, headers=elsewhere) == {"status": 403}
    reasons = ("no token", "unknown version", "bad token", "origin not allowed")
    assert counted(node.endpoint.counts.refused) == dict.fromkeys(reasons, 1)


async def test_closes_by_the_server_are_counted_by_reason(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start(max_outbox_bytes=1000, max_longpoll_sessions_per_user=1, longpoll_window_seconds=0.4)
    counts = node.endpoint.counts
    bad, slow, unpolled = [LongPollClient(http, [node], user_id) for user_id in (1, 2, 3)]
    for client in (bad, slow, unpolled, unpolled):
        await client.open()
    assert await bad.post("no frame") == 400
    assert await slow.post(["1", "1", "lab:ok", "phx_join", {}], ["1", "2", "lab:ok", "big", {"n": 2000}]) == 200
    await until(lambda: len(node.endpoint.connections) == 0)
    assert counted(counts.closes) == {
        BAD_FRAME.reason: 1,
        SLOW.reason: 1,
        TOO_MANY_SESSIONS.reason: 1,
        NOT_POLLED.reason: 1,
    }
