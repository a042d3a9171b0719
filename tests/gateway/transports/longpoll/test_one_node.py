"""Tests long polling on one node: every status, every end of a session, and that no message is lost between polls."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from typing import Any

import aiohttp
import pytest

from gateway.protocol.close_codes import BAD_FRAME, DISCONNECTED, NOT_POLLED, SLOW, TOO_MANY_SESSIONS
from tests.gateway.counted import counted
from tests.gateway.transports.longpoll.client import (
    JSON,
    NDJSON,
    SECRET,
    SOON,
    Cluster,
    LabNode,
    LongPollClient,
    are_polled,
    token_of,
)
from tests.protocol.client_frames import v2_binary
from tests.support.waiting import until

OK_REPLY = {"response": {}, "status": "ok"}


async def connected(http: aiohttp.ClientSession, cluster: Cluster, **settings: Any) -> tuple[LongPollClient, LabNode]:
    (node,) = await cluster.start(**settings)
    client = LongPollClient(http, [node])
    await client.open()
    return client, node


def sessions_of(node: LabNode) -> int:
    return len(node.endpoint.connections)


# Opening


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
    async with http.get(node.url + "/", params={"token": token_of(1), "vsn": "2.0.0"}) as response:
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
        {"token": token_of(1, secret=SECRET[::-1]), "vsn": "2.0.0"},
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
    async with http.options(node.url, headers=asked) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert response.headers["access-control-allow-headers"] == "x-phoenix-authtoken,x-my-own"
    async with http.options(node.url) as response:
        allowed = response.headers["access-control-allow-headers"].split(", ")
        assert {"content-type", "x-phoenix-authtoken", "x-phoenix-longpoll-token"} <= set(allowed)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_400(http: aiohttp.ClientSession, cluster: Cluster, method: str) -> None:
    (node,) = await cluster.start()
    async with http.request(method, node.url, params={"token": token_of(1), "vsn": "2.0.0"}) as response:
        assert (response.status, await response.text()) == (400, "")
    assert sessions_of(node) == 0


# Polls and POSTs


async def test_a_poll_waits_for_the_next_message(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    poll = asyncio.create_task(client.poll())
    assert await client.post(["1", "2", "lab:ok", "echo", {"a": "ü"}]) == 200
    answer = await poll
    assert answer["status"] == 200
    assert answer["token"] == client.token
    assert [json.loads(message) for message in answer["messages"]] == [
        ["1", "2", "lab:ok", "phx_reply", {"response": {"a": "ü"}, "status": "ok"}]
    ]


async def test_a_poll_without_messages_ends_after_the_window(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster, longpoll_window_seconds=0.2)
    before = time.monotonic()
    answer = await client.poll()
    assert answer == {"status": 204, "messages": [], "token": client.token}
    assert time.monotonic() - before >= 0.2


async def test_messages_wait_in_order_for_the_next_poll(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, _ = await connected(http, cluster)
    await client.join("lab:ok")
    for number in range(10):
        assert await client.post(["1", f"{number}", "lab:ok", "echo", {}]) == 200
    (answer,) = [await client.poll()]
    assert [json.loads(message)[1] for message in answer["messages"]] == [f"{number}" for number in range(10)]


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


async def test_a_newer_poll_ends_an_older_one(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    older = asyncio.create_task(client.poll())
    await are_polled(node)
    newer = asyncio.create_task(client.poll())
    assert await asyncio.wait_for(older, SOON / 2) == {"status": 204, "messages": [], "token": client.token}
    assert not newer.done()
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    assert len((await newer)["messages"]) == 1


async def test_messages_after_an_aborted_poll_are_kept(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    given_up = asyncio.create_task(client.poll())
    await are_polled(node)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    for ref in ("2", "3"):
        assert await client.post(["1", ref, "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await client.gets(2)] == ["2", "3"]


async def test_messages_of_a_lost_answer_come_first_in_the_next_poll(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    session: Any = next(iter(node.endpoint.connections))
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    taken = await session.poll("lost")
    assert len(taken.messages) == 1
    assert await client.post(["1", "3", "lab:ok", "echo", {}]) == 200
    waiting = asyncio.create_task(client.poll())
    await until(lambda: session._poll is not None)
    session.acknowledge("lost", False)
    assert [json.loads(message)[1] for message in (await waiting)["messages"]] == ["2", "3"]


async def test_messages_of_an_unacknowledged_poll_are_sent_again(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, node_call_seconds=0.1)
    await client.join("lab:ok")
    session: Any = next(iter(node.endpoint.connections))
    assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
    await session.poll("lost")
    assert [frame[1] for frame in await client.gets(1)] == ["2"]


# Bad input


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("nonsense", NDJSON),
        ("[1,2", NDJSON),
        ("[1,2]", NDJSON),
        ('{"topic":"lab:ok","event":"phx_join","payload":{},"ref":1}', NDJSON),
        ('["1","1","lab:ok","phx_join",{}]\nAAEC', NDJSON),
        ("AQID", NDJSON),
        ("", JSON),
        ("nonsense", JSON),
        (b'["1","1","lab:ok","\xff",{}]', JSON),
        ('["1","1","lab:ok","phx_join",{}]\n["1","2","lab:ok","echo",{}]', JSON),
    ],
)
async def test_a_bad_frame_is_answered_at_once_and_ends_the_session(
    http: aiohttp.ClientSession, cluster: Cluster, body: Any, headers: dict[str, str]
) -> None:
    client, node = await connected(http, cluster, longpoll_window_seconds=10 * SOON)
    waiting = asyncio.create_task(client.poll())
    await are_polled(node)
    assert await client.request("POST", {"token": client.token}, data=body, headers=headers) == {"status": 400}
    answer = await asyncio.wait_for(waiting, SOON)
    assert (answer["status"], answer["messages"]) == (410, [])
    assert answer["token"] != client.token
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}]) == 410
    assert sessions_of(node) == 1


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


@pytest.mark.parametrize("token", ["", "nonsense", token_of(1)])
async def test_a_post_without_a_session_is_410(http: aiohttp.ClientSession, cluster: Cluster, token: str) -> None:
    (node,) = await cluster.start()
    client = LongPollClient(http, [node])
    answer = await client.request("POST", {"token": token, "vsn": "2.0.0"}, data="[]", headers=NDJSON)
    assert answer == {"status": 410}


async def test_an_interrupted_body_does_not_affect_the_session(
    http: aiohttp.ClientSession, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    host, port = "127.0.0.1", node.server.port
    for sent in (b"content-length: 100\r\n\r\n[", b"transfer-encoding: chunked\r\n\r\n5\r\n["):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(f"POST /socket/longpoll?token={client.token} HTTP/1.1\r\nhost: x\r\n".encode() + sent)
        await asyncio.sleep(0.02)
        writer.close()
        await writer.wait_closed()
    await client.post(["1", "2", "lab:ok", "echo", {}])
    assert [frame[1] for frame in await client.gets(1)] == ["2"]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# The ends of a session


async def test_an_ended_session_is_replaced_for_a_user_who_may_still_connect(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    next(iter(node.endpoint.connections)).close(DISCONNECTED)
    answer = await client.poll()
    assert (answer["status"], answer["messages"]) == (410, [])
    client.token = answer["token"]
    await client.join("lab:ok")


async def test_an_ended_session_is_not_replaced_without_a_jwt(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    next(iter(node.endpoint.connections)).close(DISCONNECTED)
    assert await client.request("GET", {"token": client.token, "vsn": "2.0.0"}) == {"status": 403}


async def test_disconnect_ends_all_sessions_of_the_user(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start()
    one, two, other = (LongPollClient(http, [node], user_id) for user_id in (1, 1, 2))
    for client in (one, two, other):
        await client.open()
        await client.join("lab:ok")
    waiting = asyncio.create_task(two.poll())
    await are_polled(node)
    assert await one.post(["1", "2", "lab:ok", "disconnect_me", {}]) == 200
    assert (await waiting)["status"] == 410
    assert await one.post(["1", "3", "lab:ok", "echo", {}]) == 410
    assert (await one.poll())["status"] == 410
    assert await other.post(["1", "2", "lab:ok", "echo", {}]) == 200
    assert len(await other.gets(1)) == 1


async def test_frames_after_a_disconnect_in_the_same_batch_are_ignored(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    frames = [["1", "2", "lab:ok", "disconnect_me", {}], ["2", "3", "lab:room:1", "phx_join", {}]]
    assert await client.post(*frames) == 200
    await until(lambda: sessions_of(node) == 0)
    assert len(node.endpoint.topics) == 0


async def test_a_session_ends_when_its_token_expires(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    (node,) = await cluster.start(idle_seconds=0.2)
    client = LongPollClient(http, [node])
    client.jwt = token_of(1, seconds=1.5)
    await client.open()
    assert await client.poll() == {"messages": [], "status": 410, "token": None}
    assert await client.poll() == {"status": 403}
    assert sessions_of(node) == 0


async def test_a_session_that_is_not_polled_ends_despite_posts(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    before = time.monotonic()
    client, node = await connected(http, cluster, longpoll_window_seconds=0.4, idle_seconds=0.2)
    assert await client.post(["1", "1", "lab:ok", "phx_join", {}]) == 200
    async with asyncio.timeout(SOON):
        while await client.post(["1", "2", "lab:ok", "noreply", {}]) == 200:
            pass
    assert time.monotonic() - before > 0.6
    await until(lambda: sessions_of(node) == 0)
    assert len(node.endpoint.topics) == 0, "its channels were not ended"


async def test_a_session_that_is_polled_lives_on(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    # A session that nobody polls ends after 0.6 seconds: a busy machine may pause for as long between two polls.
    client, _ = await connected(http, cluster, longpoll_window_seconds=0.4, idle_seconds=0.1)
    until_then = time.monotonic() + 1
    while time.monotonic() < until_then:
        assert (await client.poll())["status"] == 204


async def test_a_session_with_too_many_waiting_bytes_is_ended(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, max_outbox_bytes=10_000)
    await client.join("lab:ok")
    big = ["1", "2", "lab:ok", "big", {"n": 6_000}]
    assert await client.post(big) == 200
    assert await client.post(big) == 200
    await until(lambda: sessions_of(node) == 0)
    assert (await client.poll())["status"] == 410


async def test_a_waiting_poll_may_get_more_bytes_than_may_wait(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster, max_outbox_bytes=10_000)
    await client.join("lab:ok")
    poll = asyncio.create_task(client.gets(3))
    await are_polled(node)
    big = ["1", "2", "lab:ok", "big", {"n": 6_000}]
    assert await client.post(big, big) == 200
    assert await client.post(["1", "3", "lab:ok", "echo", {}]) == 200
    assert [frame[1] for frame in await poll] == ["2", "2", "3"]


async def test_a_draining_node_answers_polls_at_once_and_opens_no_session(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    client, node = await connected(http, cluster)
    waiting = asyncio.create_task(client.poll())
    await are_polled(node)
    await asyncio.wait_for(node.endpoint.drain(), SOON / 2)
    # Not 410: after it, phoenix.js before 1.8.5 would believe that its channels are still joined.
    assert await waiting == {"status": 500}
    assert await client.poll() == {"status": 500}
    assert await client.request("GET", {"token": client.jwt, "vsn": "2.0.0"}) == {"status": 500}


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
    client, _ = await connected(http, cluster, max_backlog_messages=1, longpoll_window_seconds=0.1)
    frames = [["1", "1", "lab:slow", "phx_join", {}], ["1", "2", "lab:slow", "echo", {}]]
    assert await client.post(*frames) == 200
    assert await client.post(["1", "3", "lab:slow", "echo", {}]) == 408


async def test_a_user_with_too_many_sessions_loses_the_one_polled_longest_ago(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    (node,) = await cluster.start(max_longpoll_sessions_per_user=2)
    clients = [LongPollClient(http, [node], user_id) for user_id in (1, 1, 2)]
    for client in clients:
        await client.open()
    await clients[0].join("lab:ok")
    third = LongPollClient(http, [node])
    await third.open()
    assert [await client.post() for client in (*clients, third)] == [200, 410, 200, 200]


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


# Counts


async def test_frames_in_both_directions_are_counted(http: aiohttp.ClientSession, cluster: Cluster) -> None:
    client, node = await connected(http, cluster)
    await client.join("lab:ok")
    assert await client.post(*(["1", str(number), "lab:ok", "echo", {}] for number in range(3))) == 200
    await client.gets(3)
    assert (node.endpoint.counts.frames_in, node.endpoint.counts.frames_out) == (4, 4)


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
