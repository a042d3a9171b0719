"""Tests POSTs that are too large, come too slowly, or find their session busy."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import aiohttp
import pytest

from tests.gateway.transports.longpoll.client import (
    JSON,
    NDJSON,
    SOON,
    Cluster,
    are_polled,
    connected,
)
from tests.support.waiting import until


async def test_frames_of_one_post_wait_when_the_backlog_is_full(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, max_backlog_messages=10)
    (connection,) = node.endpoint.connections
    frames: list[Any] = [["1", "join", "lab:slow", "phx_join", {}]]
    frames += [["1", number, "lab:slow", "echo", {}] for number in range(300)]
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, connection.backlog)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    posting = asyncio.create_task(client.post(*frames))
    # Another POST that arrives meanwhile is handled after the first one.
    await until(lambda: connection.backlog > 0)
    assert await client.post(["1", "last", "lab:slow", "echo", {}]) == 200
    assert await posting == 200
    watching.cancel()
    assert most == 10
    assert [frame[1] for frame in await client.gets(302)] == ["join", *range(300), "last"]


async def test_the_event_loop_goes_on_while_a_long_post_is_handled(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    """The node handles a mebibyte of the shortest frames, which takes most of a second."""
    client, _ = await connected(http, cluster, frames_per_second=1e6)
    frame = "[1,1,1,1,1]"
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            # The loop's own CPU time, which other processes do not lengthen.
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    assert await client.post(*[frame] * (1024 * 1024 // (len(frame) + 1))) == 200
    watching.cancel()
    assert longest < 0.3


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(
    http: aiohttp.ClientSession, cluster: Cluster, is_chunked: bool
) -> None:
    client, _ = await connected(http, cluster, max_message_bytes=10_000)
    frame = json.dumps(["1", "1", "lab:ok", "phx_join", {"pad": ""}]).encode()
    exact = frame.replace(b'""', b'"%b"' % (b"x" * (10_000 - len(frame))))
    params = {"token": client.token}

    async def chunks() -> Any:
        yield exact
        yield b" "

    too_large: Any = chunks() if is_chunked else exact + b" "
    assert await client.request("POST", params, data=too_large, headers=JSON) == {"status": 413}
    assert await client.request("POST", params, data=exact, headers=JSON) == {"status": 200}
    assert len(await client.gets(1)) == 1


async def test_a_body_beyond_aiohttps_own_limit_is_accepted_within_the_setting(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, _ = await connected(http, cluster, max_message_bytes=8_000_000)
    await client.join("lab:ok")
    assert await client.post(["1", "2", "lab:ok", "noreply", {"pad": "x" * 3_000_000}]) == 200


async def test_a_body_that_does_not_arrive_in_time_is_408(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster, longpoll_body_seconds=0.1)

    async def slow() -> Any:
        yield b"["
        await asyncio.sleep(SOON)

    assert await client.request("POST", {"token": client.token}, data=slow(), headers=NDJSON) == {"status": 408}
    await client.join("lab:ok")


async def test_an_interrupted_body_does_not_affect_the_session(
    http: aiohttp.ClientSession, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    for sent in (b"content-length: 100\r\n\r\n[", b"transfer-encoding: chunked\r\n\r\n5\r\n["):
        _, writer = await asyncio.open_connection("127.0.0.1", node.port)
        writer.write(f"POST /socket/longpoll?token={client.token} HTTP/1.1\r\nhost: x\r\n".encode() + sent)
        await asyncio.sleep(0.02)
        writer.close()
        await writer.wait_closed()
    await client.post(["1", "2", "lab:ok", "echo", {}])
    assert [frame[1] for frame in await client.gets(1)] == ["2"]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_posts_to_a_busy_session_wait_their_turn(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster, max_backlog_messages=2, longpoll_window_seconds=5.0)
    frames = [["1", "1", "lab:slow", "phx_join", {}]]
    frames += [["1", f"{number}", "lab:slow", "echo", {}] for number in (2, 3)]
    assert await client.post(*frames) == 200
    rest = [asyncio.create_task(client.post(["1", f"{number}", "lab:slow", "echo", {}])) for number in (4, 5)]
    assert [frame[1] for frame in await client.gets(3)] == ["1", "2", "3"]
    assert await asyncio.gather(*rest) == [200, 200]
    assert sorted(frame[1] for frame in await client.gets(2)) == ["4", "5"]


async def test_a_post_to_a_session_that_stays_busy_is_408(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, max_backlog_messages=1, longpoll_window_seconds=0.2)
    # A session that is not polled ends soon, and a busy machine needs some time for the POSTs.
    waiting = asyncio.create_task(client.poll())
    await are_polled(node)
    frames = [["1", "1", "lab:slow", "phx_join", {}], ["1", "2", "lab:slow", "echo", {}]]
    assert await client.post(*frames) == 200
    assert await client.post(["1", "3", "lab:slow", "echo", {}]) == 408
    assert (await waiting)["status"] in (200, 204)
