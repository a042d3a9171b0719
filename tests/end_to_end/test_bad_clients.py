"""Many clients misbehave at a time: they harm only themselves, and each refusal says why.

Meanwhile, Ann writes to Bob. Before and during the misbehaviour, the tests measure how long her messages take, and how
much memory the node uses.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.end_to_end.faults.load import add_users
from tests.gateway.transports.raw_socket import BINARY, CONTINUATION, PING, RawSocket, frame
from tests.support.client import Socket
from tests.support.processes import CHECKOUT, Node, Processes

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEBIBYTE = 1024 * 1024
P99_SECONDS = 0.5
"""99 of 100 messages arrive within this time on a machine that is not busy."""
SLOWER = 10
"""On a busy machine, messages may take this many times as long as before the misbehaviour."""


@dataclass
class Gateway:
    """One node with small limits, and people who can connect to it."""

    node: Node
    settings: Settings

    def people(self, count: int) -> list[tuple[int, str]]:
        """The ids and tokens of new users."""
        tokens = Tokens(self.settings.jwt_secrets, 3600)
        ids = add_users(self.settings.database_url, count)
        return [(user_id, tokens.issue(user_id, Role.USER, None)) for user_id in ids]

    async def raw(self, token: str, receive_buffer: int = 0) -> RawSocket:
        path = f"/socket/websocket?vsn=2.0.0&token={token}"
        socket = await RawSocket.connect(self.node.port, path, receive_buffer=receive_buffer)
        assert socket.head.startswith(b"HTTP/1.1 101"), socket.head
        return socket

    @property
    def memory(self) -> int:
        """The bytes of memory that the node's process uses."""
        rss: int = psutil.Process(self.node.pid).memory_info().rss
        return rss

    async def metric(self, name: str) -> int:
        async with aiohttp.ClientSession() as client, client.get(self.node.url + "/metrics") as response:
            text = await response.text()
        samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return int(float(samples[f"gateway_{name}"]))

    async def until_metric(self, name: str, least: int) -> None:
        async with asyncio.timeout(40):
            while await self.metric(name) < least:  # noqa: ASYNC110 (another process's)
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(deployment: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    settings = replace(
        deployment,
        rate_limits=True,
        sends_per_second=50.0,
        reads_per_second=1.0,
        typings_per_second=1.0,
        max_outbox_bytes=256 * 1024,
        max_message_bytes=64 * 1024,
        max_connections=400,
        request_head_seconds=1.0,
        longpoll_body_seconds=1.0,
        max_longpoll_sessions_per_user=10,
    )
    processes = Processes(settings, tmp_path_factory.mktemp("processes"))
    try:
        yield Gateway(await processes.gateway(), settings)
    finally:
        await processes.stop()


class Pair:
    """Ann and Bob, in the process of tests/end_to_end/pair.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def seconds(self, least: int, until: asyncio.Event | None = None) -> list[float]:
        """The seconds of each of the next messages: at least `least`, and more until the event is set."""
        assert self._process.stdout is not None
        seconds: list[float] = []
        async with asyncio.timeout(40):
            while len(seconds) < least or (until is not None and not until.is_set()):
                line = await self._process.stdout.readline()
                assert line, "the process of the pair has ended"
                seconds.append(float(line))
        return seconds


@asynccontextmanager
async def pair_of(gateway: Gateway) -> AsyncIterator[Pair]:
    arguments = [str(part) for person in gateway.people(2) for part in person]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.end_to_end.pair",
        gateway.node.socket_url,
        *arguments,
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Pair(process)
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def nobody_else_is_harmed(gateway: Gateway, mebibytes: int = 48) -> AsyncIterator[None]:
    """Check that while the block lasts, other people's messages arrive in time and the node's memory stays bounded."""
    async with pair_of(gateway) as pair:
        before = await pair.seconds(20)
        memory = gateway.memory
        over = asyncio.Event()
        meanwhile = asyncio.create_task(pair.seconds(30, over))
        try:
            yield
        except BaseException:
            meanwhile.cancel()
            raise
        grown = gateway.memory - memory
        over.set()
        bound = max(P99_SECONDS, SLOWER * p99(before))
        assert p99(await meanwhile) < bound, (p99(before), sorted(meanwhile.result())[-5:])
        assert grown < mebibytes * MEBIBYTE, f"{grown / MEBIBYTE:.1f} MiB more"


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def text(*parts: object) -> bytes:
    return frame(json.dumps(parts).encode())


SLOW_CLOSES = 'closes_total{reason="too slow"}'


async def next_frames(socket: RawSocket, count: int) -> list[Any]:
    """The next `count` text frames."""
    return [json.loads((await socket.receive()).payload) for _ in range(count)]


async def test_clients_that_stop_reading_are_closed(gateway: Gateway) -> None:
    closed = await gateway.metric(SLOW_CLOSES)
    people = gateway.people(9)
    async with nobody_else_is_harmed(gateway):
        not_reading = []
        for user_id, token in people:
            socket = await gateway.raw(token, receive_buffer=4096)
            socket.send(text("1", "1", f"private_chat:{user_id}", "phx_join", {}))
            await next_frames(socket, 1)
            not_reading.append(socket)
        # These clients do not read the replies to their own pushes.
        long = "x" * 30_000
        for (user_id, _), socket in zip(people, not_reading, strict=True):
            push = text("1", "2", f"private_chat:{user_id}", "phx_join", {"padding": long})
            socket.send(push)
            for number in range(4000):
                socket.send(frame(json.dumps([None, f"{number}" * 1000, "phoenix", "heartbeat", {}]).encode()))
        await gateway.until_metric(SLOW_CLOSES, closed + len(not_reading))
        for socket in not_reading:
            await socket.close()


async def test_people_who_send_too_much_are_refused_and_do_not_slow_others(gateway: Gateway) -> None:
    """Twenty people send a thousand messages each, at the same time."""
    people = gateway.people(20)

    async def flood(user_id: int, token: str) -> tuple[int, int]:
        socket = await gateway.raw(token)
        topic = f"private_chat:{user_id}"
        socket.send(text("1", "1", topic, "phx_join", {}))
        await next_frames(socket, 1)
        payload = {"to": user_id, "message": "spam"}
        socket.send(*(text("1", f"{number}", topic, "send", payload) for number in range(1000)))
        statuses: list[Any] = []
        while len(statuses) < 1000:
            _, _, _, event, answer = json.loads((await socket.receive()).payload)
            if event == "phx_reply":
                statuses.append(answer)
        await socket.close()
        refused = [answer for answer in statuses if answer["status"] == "error"]
        assert all(answer["response"] == {"reason": "too many requests"} for answer in refused)
        return len(statuses) - len(refused), len(refused)

    async with nobody_else_is_harmed(gateway):
        counts = await asyncio.gather(*(flood(*person) for person in people))
    # The limit allows a burst, and then some messages in each of the seconds that the test took.
    assert all(100 <= accepted <= 700 for accepted, _ in counts), counts


@pytest.mark.parametrize("much", ["typing", "read"])
async def test_a_user_over_the_limit_of_one_event_can_still_push_the_others(gateway: Gateway, much: str) -> None:
    [(user_id, token)] = gateway.people(1)
    topic = f"private_chat:{user_id}"
    payloads = {
        "typing": {"to": user_id},
        "read": {"with": user_id, "up_to": 1},
        "send": {"to": user_id, "message": "x"},
    }
    async with await Socket.connect(gateway.node.socket_url, token) as socket:
        await socket.join(topic)
        answers = [await socket.push(topic, much, payloads[much]) for _ in range(150)]
        assert {"status": "error", "response": {"reason": "too many requests"}} in answers
        for other in payloads.keys() - {much}:
            assert (await socket.push(topic, other, payloads[other]))["status"] == "ok"


async def test_another_join_or_connection_does_not_raise_a_users_limit(gateway: Gateway) -> None:
    [(user_id, token)] = gateway.people(1)
    topic = f"private_chat:{user_id}"
    accepted = 0
    for _ in range(3):
        async with await Socket.connect(gateway.node.socket_url, token) as socket:
            for turn in range(3):
                await socket.join(topic, join_ref=f"j{turn}")
                for _ in range(60):
                    answer = await socket.push(topic, "typing", {"to": user_id}, join_ref=f"j{turn}")
                    accepted += answer["status"] == "ok"
    assert accepted < 500


async def test_a_flood_of_heartbeats_slows_nobody_else(gateway: Gateway) -> None:
    people = gateway.people(10)
    beats = text(None, "1", "phoenix", "heartbeat", {}) * 500

    async def flood(token: str) -> None:
        socket = await gateway.raw(token)
        for _ in range(20):
            socket.send(beats)
            await next_frames(socket, 500)
        await socket.close()

    async with nobody_else_is_harmed(gateway):
        await asyncio.gather(*(flood(token) for _, token in people))


WRONG = {
    "empty": (frame(b""), 1011),
    "not json": (frame(b"nonsense"), 1011),
    "a number": (frame(b"1"), 1011),
    "too short": (frame(b'["1","1","t"]'), 1011),
    "an object": (frame(b'{"topic":"t","event":"e","payload":{},"ref":1}'), 1011),
    "binary of an unknown kind": (frame(b"\x09\x00\x00\x00\x00", BINARY), 1011),
    "binary cut short": (frame(b"\x00\xff\x01", BINARY), 1011),
    "not utf-8": (frame(b'["1","1","\xff","e",{}]'), 1007),
    "opcode": (frame(b"", 5), 1002),
    "reserved bits": (frame(b"[]", rsv=4), 1002),
    "ping in pieces": (frame(b"", PING, fin=False), 1002),
    "continuation without a start": (frame(b"[]", CONTINUATION), 1002),
    "too large": (frame(b"x" * (64 * 1024 + 1)), 1009),
    "nested deep": (frame(b"[" * 30_000 + b"]" * 30_000), 1011),
}


async def test_each_kind_of_wrong_frame_closes_its_connection_with_a_code(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)

    async def wrong(data: bytes, code: int) -> None:
        socket = await gateway.raw(token)
        # The frame before the wrong one is answered.
        socket.send(text(None, "1", "phoenix", "heartbeat", {}), data)
        assert (await next_frames(socket, 1))[0][4] == {"response": {}, "status": "ok"}
        assert await socket.close_code() == code
        await socket.close()

    async with nobody_else_is_harmed(gateway):
        for _ in range(5):
            await asyncio.gather(*(wrong(data, code) for data, code in WRONG.values()))


async def test_all_of_ten_thousand_joins_are_answered_and_their_number_is_bounded(gateway: Gateway) -> None:
    [(user_id, token)] = gateway.people(1)
    async with nobody_else_is_harmed(gateway):
        socket = await gateway.raw(token)
        topics = [f"private_chat:{user_id + number + 1}" for number in range(5000)]
        topics += [f"nosuch:{number}" for number in range(4000)]
        topics += [f"listing:{number}" for number in range(1000)]
        joins = [text(f"{n}", f"{n}", topic, "phx_join", {}) for n, topic in enumerate(topics)]
        reasons: dict[str, int] = {}
        for start in range(0, len(joins), 1000):
            socket.send(*joins[start : start + 1000])
            for _, _, _, event, answer in await next_frames(socket, 1000):
                assert (event, answer["status"]) == ("phx_reply", "error")
                reason = answer["response"]["reason"]
                reasons[reason] = reasons.get(reason, 0) + 1
        await socket.close()
    assert set(reasons) <= {
        "unauthorized",
        "user not found",
        "unmatched topic",
        "too many channels joined",
        "not found",
    }
    assert reasons["unmatched topic"] == 4000
    assert reasons["too many channels joined"] > 0


async def test_a_topic_can_be_joined_and_left_thousands_of_times(gateway: Gateway) -> None:
    [(user_id, token)] = gateway.people(1)
    topic = f"private_chat:{user_id}"
    async with nobody_else_is_harmed(gateway):
        socket = await gateway.raw(token)
        for start in range(0, 3000, 500):
            numbers = range(start, start + 500)
            socket.send(
                *(
                    text(f"{n}", f"{n}", topic, "phx_join", {}) + text(f"{n}", "x", topic, "phx_leave", {})
                    for n in numbers
                )
            )
            events = [answer[3] for answer in await next_frames(socket, 1500)]
            assert (events.count("phx_reply"), events.count("phx_close")) == (1000, 500)
        await socket.close()


async def test_each_of_two_thousand_connects_is_served_or_refused(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)
    bad = token[:-4] + "AAAA"
    url = gateway.node.url + "/socket/websocket"

    async def connect(client: aiohttp.ClientSession, given: str) -> int:
        try:
            socket = await client.ws_connect(url, params={"vsn": "2.0.0", "token": given})
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status
        await socket.close()
        return 101

    async with nobody_else_is_harmed(gateway):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as client:
            given = [token if number % 2 else bad for number in range(2000)]
            statuses = await asyncio.gather(*(connect(client, one) for one in given))
        assert statuses[1::2] == [101] * 1000
        assert statuses[0::2] == [403] * 1000


async def test_more_connections_than_the_limit_are_refused_with_the_reason(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)
    opened = []
    async with nobody_else_is_harmed(gateway):
        for _ in range(450):
            socket = await RawSocket.connect(gateway.node.port, f"/socket/websocket?vsn=2.0.0&token={token}")
            opened.append(socket)
        refused = [socket for socket in opened if not socket.head.startswith(b"HTTP/1.1 101")]
        assert 50 <= len(refused) <= 60
        assert all(socket.head.startswith(b"HTTP/1.1 503") and b"Retry-After" in socket.head for socket in refused)
        assert await refused[0].end() == b"too many connections\n"
        for socket in opened:
            await socket.close()
        await served_again(gateway, token)


async def served_again(gateway: Gateway, token: str) -> None:
    async with asyncio.timeout(10):
        while True:
            socket = await RawSocket.connect(gateway.node.port, f"/socket/websocket?vsn=2.0.0&token={token}")
            await socket.close()
            if socket.head.startswith(b"HTTP/1.1 101"):
                return


async def test_a_handshake_that_never_ends_is_closed(gateway: Gateway) -> None:
    """The node waits one second, by these tests' settings, for a head that comes byte by byte or not at all."""
    parts = [b"", b"GET /socket/websocket HTTP/1.1\r\n", b"GET /socket/websocket HTTP/1.1\r\nHost: x\r\nX-Slow: "]

    async def send_slowly(part: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.node.port)
        writer.write(part)
        drip = asyncio.create_task(send_bytes(writer))
        try:
            async with asyncio.timeout(10):
                await reader.read()
        except ConnectionError:
            pass
        finally:
            drip.cancel()
            await asyncio.gather(drip, return_exceptions=True)
            writer.transport.abort()

    async def send_bytes(writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(0.1)
            writer.write(b"x")

    async with nobody_else_is_harmed(gateway):
        await asyncio.gather(*(send_slowly(part) for part in parts * 60))


async def test_slow_long_polls_are_closed_and_a_users_newest_sessions_replace_old_ones(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)
    url = gateway.node.url + "/socket/longpoll"

    async def slow_body(client: aiohttp.ClientSession) -> int:
        async with client.get(url, params={"vsn": "2.0.0", "token": token}) as response:
            session = (await response.json())["token"]
        if session is None:
            return 410

        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"["
                await asyncio.sleep(0.2)

        try:
            async with client.post(url, params={"vsn": "2.0.0", "token": session}, data=body()) as response:
                status: int = (await response.json())["status"]
                return status
        except aiohttp.ClientError:
            return 408

    connections = await gateway.metric("connections")
    async with nobody_else_is_harmed(gateway):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            async with asyncio.timeout(10):
                statuses = await asyncio.gather(*(slow_body(client) for _ in range(50)))
        assert set(statuses) <= {408, 410}
        # One user keeps at most ten sessions; the other two connections are Ann's and Bob's.
        assert await gateway.metric("connections") <= connections + 12
