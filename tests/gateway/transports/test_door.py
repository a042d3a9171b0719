"""Tests the first request on a connection: who handles it, and that all ways to a WebSocket lead to the same."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.runtime.refusals import POSTGRES_AWAY
from shared.access.actor import Actor
from shared.domain.users import Role
from shared.postgres import DatabaseUnavailable
from tests.gateway.counted import counted
from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import RawSocket, frame
from tests.lab.tokens import token_of
from tests.support.waiting import until

HEARTBEAT = frame(b'[null,"h1","phoenix","heartbeat",{}]')
HEARTBEAT_REPLY = b'[null,"h1","phoenix","phx_reply",{"response":{},"status":"ok"}]'
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The key and its answer in RFC 6455 (1.3)."""


def upgrade(
    target: str = "",
    *,
    method: str = "GET",
    http: str = "HTTP/1.1",
    host: str = "x",
    upgrade: str = "websocket",
    connection: str = "Upgrade",
    version: str = "13",
    key: str = KEY,
    more: str = "",
) -> bytes:
    target = target or f"/socket/websocket?vsn=2.0.0&token={token_of(1)}"
    return (
        f"{method} {target} {http}\r\nHost: {host}\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\n"
        f"Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n"
    ).encode("latin-1")


@asynccontextmanager
async def connected(lab: LabServer) -> AsyncIterator[RawSocket]:
    """A connection on which nothing has been sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    raw = RawSocket(reader, writer, b"")
    try:
        yield raw
    finally:
        await raw.close()


OTHER_REQUEST = b"OPTIONS /socket/longpoll HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request that asks for no WebSocket."""


async def answer_to(raw: RawSocket, given: dict[str, str], first: bool) -> bytes:
    """The head of the answer to an upgrade, which is the first request on its connection or the second."""
    if not first:
        raw.send(OTHER_REQUEST)
        await raw.read_head()
    raw.send(upgrade(**given))
    return await raw.read_head()


async def is_served(raw: RawSocket) -> None:
    raw.send(HEARTBEAT)
    assert (await raw.receive()).payload == HEARTBEAT_REPLY


async def test_the_answer_is_that_of_the_rfc(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade())
        assert await raw.read_head() == (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
        )
        await is_served(raw)


@pytest.mark.parametrize("pieces", [2, 7, 100])
async def test_a_head_may_come_in_pieces(lab: LabServer, pieces: int) -> None:
    sent = upgrade()
    size = -(-len(sent) // pieces)
    async with connected(lab) as raw:
        for start in range(0, len(sent), size):
            raw.send(sent[start : start + size])
            await asyncio.sleep(0.002)
        assert b" 101 " in await raw.read_head()
        await is_served(raw)


@pytest.mark.parametrize("pieces", [2, 7, 100])
async def test_a_head_in_pieces_a_frame_and_a_fin_are_answered(lab: LabServer, pieces: int) -> None:
    sent = upgrade()
    size = -(-len(sent) // pieces)
    async with connected(lab) as raw:
        for start in range(0, len(sent) - size, size):
            raw.send(sent[start : start + size])
            await asyncio.sleep(0.002)
        raw.send(sent[start + size :] + HEARTBEAT)
        raw.end_sending()
        assert b" 101 " in await raw.read_head()
        assert (await raw.receive()).payload == HEARTBEAT_REPLY
        assert await raw.end() == b""
    await lab.until_quiet()


@pytest.mark.parametrize("request_line", [b"GET /socket/longpoll?vsn=2.0.0", b"OPTIONS /socket/longpoll"])
async def test_a_head_of_any_request_may_come_byte_by_byte(lab: LabServer, request_line: bytes) -> None:
    async with connected(lab) as raw:
        for byte in request_line + b" HTTP/1.1\r\nHost: x\r\n\r\n":
            raw.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert b" 200 " in await raw.read_head()


async def test_a_head_larger_than_is_kept_may_come_in_pieces(lab: LabServer) -> None:
    sent = upgrade(more=f"X: {'a' * 8000}\r\n" * 3)
    async with connected(lab) as raw:
        for start in range(0, len(sent), 3000):
            raw.send(sent[start : start + 3000])
            await asyncio.sleep(0.002)
        assert b" 101 " in await raw.read_head()
        await is_served(raw)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00", b"get / HTTP/1.1", b"GET / HTTP/1.1\nHost: x\n\n", b"\r\n\r\nx"]
)
async def test_what_can_be_no_request_is_answered_without_waiting_for_more(lab: LabServer, sent: bytes) -> None:
    async with connected(lab) as raw:
        raw.send(sent)
        assert b" 400 " in await raw.read_head()


async def test_half_a_head_is_kept_from_aiohttp(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(OTHER_REQUEST[:-2])
        for _ in range(3):
            async with connected(lab) as other:
                other.send(OTHER_REQUEST)
                await other.read_head()
        await lab.until_quiet()
        raw.send(OTHER_REQUEST[-2:])
        assert b" 200 " in await raw.read_head()


async def test_an_upgrade_may_follow_other_requests_on_its_connection(lab: LabServer) -> None:
    async with connected(lab) as raw:
        for _ in range(2):
            raw.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await raw.read_head()
            assert b" 404 " in head
            await raw.read(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        raw.send(upgrade())
        head = await raw.read_head()
        assert b" 101 " in head
        assert ACCEPT in head
        await is_served(raw)
    await lab.until_quiet()


async def test_an_upgrade_and_frames_may_be_sent_behind_another_request_in_one_write(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(OTHER_REQUEST + upgrade() + HEARTBEAT * 3)
        assert b" 101 " not in await raw.read_head()
        assert b" 101 " in await raw.read_head()
        for _ in range(3):
            assert (await raw.receive()).payload == HEARTBEAT_REPLY
    await lab.until_quiet()


async def test_a_target_may_have_a_host(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade(f"http://x/socket/websocket?vsn=2.0.0&token={token_of(1)}"))
        assert b" 101 " in await raw.read_head()
        await is_served(raw)


@pytest.mark.parametrize("frames", [1, 200, 5000])
async def test_frames_may_be_sent_behind_the_upgrade_without_waiting(lab: LabServer, frames: int) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade() + HEARTBEAT * frames)
        assert b" 101 " in await raw.read_head()
        for _ in range(frames):
            assert (await raw.receive()).payload == HEARTBEAT_REPLY


async def test_an_upgrade_a_frame_and_a_fin_at_once_are_answered(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade() + HEARTBEAT)
        raw.end_sending()
        assert b" 101 " in await raw.read_head()
        assert (await raw.receive()).payload == HEARTBEAT_REPLY
        assert await raw.end() == b""
    await lab.until_quiet()


GOOD = {
    "a list of protocols": {"upgrade": "foo, websocket"},
    "another list": {"upgrade": "websocket,foo/2"},
    "any case": {"upgrade": "WebSocket", "connection": "upGRADE"},
    "a list of options": {"connection": "keep-alive, Upgrade"},
    "an extension": {"more": "Sec-WebSocket-Extensions: permessage-deflate\r\n"},
    "an extension that is no list": {"more": "Sec-WebSocket-Extensions: ;;,=\r\n"},
    "blanks around the version": {"version": " 13\t"},
    "a protocol twice": {"upgrade": "websocket, websocket"},
    "a protocol in a second line": {"upgrade": "h2c", "more": "Upgrade: websocket\r\n"},
    "an option in a second line": {"connection": "keep-alive", "more": "Connection: upgrade\r\n"},
    "an empty body": {"more": "Content-Length: 0\r\n"},
    "a byte that is not ASCII in another header": {"more": "Cookie: a=\xff\r\n"},
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD.keys())
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
async def test_all_spellings_of_an_upgrade_are_accepted(lab: LabServer, given: dict[str, str], first: bool) -> None:
    async with connected(lab) as raw:
        head = await answer_to(raw, given, first)
        assert b" 101 " in head
        assert b"extensions" not in head.lower()
        await is_served(raw)


BAD = {
    "version 0": {"version": "0"},
    "version 7": {"version": "7"},
    "version 8": {"version": "8"},
    "version 12": {"version": "12"},
    "version 14": {"version": "14"},
    "version x": {"version": "x"},
    "no version": {"version": ""},
    "HTTP/1.0": {"http": "HTTP/1.0"},
    "a short key": {"key": base64.b64encode(b"x" * 15).decode()},
    "a long key": {"key": base64.b64encode(b"x" * 17).decode()},
    "a key that is no base64": {"key": "dGhlIHNhbXBsZSBub25j!!=="},
    "a key that is not ASCII": {"key": "dGhlIHNhbXBsZSBub25j\xe9Q=="},
    "no key": {"key": ""},
    "another protocol": {"upgrade": "h2c"},
    "a protocol that begins so": {"upgrade": "websocket2"},
    "no upgrade of the connection": {"connection": "close"},
    "version 013": {"version": "013"},
    "version +13": {"version": "+13"},
    "version 255": {"version": "255"},
    "a list of versions": {"version": "13, 8"},
    "the version twice": {"version": "13", "more": "Sec-WebSocket-Version: 13\r\n"},
    "another version behind": {"version": "13", "more": "Sec-WebSocket-Version: 8\r\n"},
    "the key twice": {"more": f"Sec-WebSocket-Key: {KEY}\r\n"},
    "another key behind": {"more": "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"},
    "a key with a space in it": {"key": "dGhlIHNhbXBsZ SBub25jZQ=="},
    "a key in the alphabet of URLs": {"key": "____________________-w=="},
    "a key without its padding": {"key": "dGhlIHNhbXBsZSBub25jZQ"},
    "a protocol with a version": {"upgrade": "websocket/13"},
    "HTTP/2.0": {"http": "HTTP/2.0"},
    "an empty host": {"host": ""},
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
async def test_a_bad_upgrade_is_400(
    lab: LabServer, given: dict[str, str], first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(lab) as raw:
        head = await answer_to(raw, given, first)
        assert b" 400 " in head
        assert (b"sec-websocket-version: 13" in head.lower()) == ("version" in given)
    await lab.until_quiet()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_bad_upgrade_with_a_bad_token_is_403(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade("/socket/websocket?token=bad", version="12"))
        assert b" 403 " in await raw.read_head()


async def test_a_refusal_ends_the_connection_and_loses_nothing_of_itself(lab: LabServer) -> None:
    for _ in range(20):
        async with connected(lab) as raw:
            raw.send(upgrade("/socket/websocket?token=bad") + b"x" * 100_000)
            head = await raw.read_head()
            assert head.startswith(b"HTTP/1.1 403 Forbidden\r\nDate: ")
            assert b"Content-Length: 0\r\nConnection: close\r\n" in head
            assert await raw.end() == b""
    await lab.until_quiet()


@pytest.mark.parametrize(
    "bad",
    [
        b"\x00" * 30,
        b"GET /socket/websocket HTTP/x",
        b"\x16\x03\x01\x02\x00",
        b"GET /socket/websocket HTTP/1.1\r\nbad header",
        upgrade(more="Host: y\r\n")[:-4],
        upgrade().replace(b"Host: x\r\n", b"")[:-4],
        upgrade(more="X: a\0b\r\n")[:-4],
        upgrade(more="X: a\rb\r\n")[:-4],
        upgrade(more="X: a\r\n b\r\n")[:-4],
        upgrade(more="X Y: a\r\n")[:-4],
    ],
    ids=range(10),
)
async def test_what_http_forbids_is_400(lab: LabServer, bad: bytes) -> None:
    async with connected(lab) as raw:
        raw.send(bad + b"\r\n\r\n")
        assert b" 400 " in await raw.read_head()


MANY = "X: a\r\n" * 200
LARGE = [
    f"X-Long: {'a' * 9000}\r\n",
    MANY,
    f"Cookie: {'a' * 100_000}\r\n",
    f"X: {'a' * 8000}\r\n" * 2 + f"X: {'a' * 8191}\r\n",
    f"X: {'a' * 1000}\r\n" * 130,
]


@pytest.mark.parametrize("header", LARGE, ids=range(len(LARGE)))
async def test_a_head_that_is_too_large_is_refused(lab: LabServer, header: str) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade(more=header))
        # aiohttp says of too many fields only that the request is bad.
        assert (b" 400 " if header == MANY else b" 431 ") in await raw.read_head()
    await lab.until_quiet()


@pytest.mark.parametrize("header", LARGE[2:], ids=range(2, len(LARGE)))
async def test_a_head_that_can_only_become_too_large_is_431_before_its_end(lab: LabServer, header: str) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade(more=header)[:-2])
        assert b" 431 " in await raw.read_head()
    await lab.until_quiet()


@pytest.mark.parametrize("count", [2, 20, 100])
async def test_a_head_within_the_limits_is_served_however_large(lab: LabServer, count: int) -> None:
    more = "".join(f"X-{number}: {'a' * (8190 if count < 50 else 200)}\r\n" for number in range(count))
    async with connected(lab) as raw:
        raw.send(upgrade(more=more) + frame(b'[null,"h1","phoenix","heartbeat",{}]'.ljust(60_000)))
        assert b" 101 " in await raw.read_head()
        assert (await raw.receive()).payload == HEARTBEAT_REPLY


async def test_an_upgrade_with_a_body_is_handled_by_aiohttp(lab: LabServer) -> None:
    async with connected(lab) as raw:
        raw.send(upgrade(more="Content-Length: 5\r\n") + b"hello" + HEARTBEAT)
        assert b" 101 " in await raw.read_head()
        assert (await raw.receive()).payload == HEARTBEAT_REPLY


# Waiting for the database


class Gate:
    """An admission that waits until it is opened."""

    def __init__(self) -> None:
        self.asked = 0
        self.opened = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, token: str) -> Actor:
        self.asked += 1
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        return Actor(7, "s", Role.USER, "A name", 4_000_000_000)


async def test_what_arrives_while_the_user_is_looked_up_is_answered_behind_the_upgrade(start_lab: StartLab) -> None:
    gate = Gate()
    lab = await start_lab(admit=gate)
    async with connected(lab) as raw:
        raw.send(upgrade())
        await until(lambda: gate.asked == 1)
        raw.send(HEARTBEAT * 3000)
        await asyncio.sleep(0.05)
        gate.opened.set()
        assert b" 101 " in await raw.read_head()
        for _ in range(3000):
            assert (await raw.receive()).payload == HEARTBEAT_REPLY
    await lab.until_quiet()


@pytest.mark.parametrize("fin", [True, False])
async def test_a_client_that_leaves_while_it_is_looked_up_is_no_error(
    start_lab: StartLab, caplog: pytest.LogCaptureFixture, fin: bool
) -> None:
    gate = Gate()
    lab = await start_lab(admit=gate)
    async with connected(lab) as raw:
        raw.send(upgrade())
        await until(lambda: gate.asked == 1)
        if fin:
            raw.end_sending()
            await asyncio.sleep(0.05)
    gate.opened.set()
    await lab.until_quiet()
    assert [record for record in caplog.records if record.levelno > 20] == []


@pytest.mark.parametrize(
    ("error", "status"), [(DatabaseUnavailable("away"), b" 503 "), (ValueError("a fault"), b" 500 ")]
)
async def test_a_failure_of_the_look_up_is_answered(start_lab: StartLab, error: Exception, status: bytes) -> None:
    gate = Gate()
    gate.error = error
    lab = await start_lab(admit=gate)
    async with connected(lab) as late, connected(lab) as early:
        late.send(upgrade())
        await until(lambda: gate.asked == 1)
        gate.opened.set()
        assert status in await late.read_head()
        early.send(upgrade())
        assert status in await early.read_head()
    await lab.until_quiet()
    assert counted(lab.endpoint.counts.refused) == ({POSTGRES_AWAY: 2} if b"503" in status else {})


async def test_users_who_were_looked_up_together_are_counted_one_by_one(start_lab: StartLab) -> None:
    gate = Gate()
    lab = await start_lab(admit=gate, max_websockets_per_user=3)
    opening = [asyncio.create_task(lab.connect_raw(7)) for _ in range(10)]
    await until(lambda: gate.asked == 10)
    gate.opened.set()
    heads = [(await one).head.split()[1] for one in opening]
    assert sorted(heads) == [b"101"] * 3 + [b"429"] * 7
    assert counted(lab.endpoint.counts.refused) == {"too many websockets": 7}


async def test_a_connection_that_opens_while_the_node_stops_is_closed_with_1012(start_lab: StartLab) -> None:
    gate = Gate()
    lab = await start_lab(admit=gate)
    async with connected(lab) as raw:
        raw.send(upgrade())
        await until(lambda: gate.asked == 1)
        await lab.endpoint.drain()
        gate.opened.set()
        assert b" 101 " in await raw.read_head()
        assert await raw.close_code() == 1012
    await lab.until_quiet()


# Limits


async def test_silent_connections_end_when_their_time_is_over(start_lab: StartLab) -> None:
    lab = await start_lab(request_head_seconds=0.3)
    async with connected(lab) as silent, connected(lab) as half, connected(lab) as whole:
        half.send(upgrade()[:50])
        whole.send(upgrade())
        assert b" 101 " in await whole.read_head()
        assert await silent.end() == b""
        assert await half.end() == b""
        await is_served(whole)


async def test_websockets_and_silent_connections_count_in_the_limit_of_connections(start_lab: StartLab) -> None:
    lab = await start_lab(max_connections=3)
    async with connected(lab), connected(lab) as polls, connected(lab) as raw:
        polls.send(OTHER_REQUEST)
        assert b" 20" in await polls.read_head()
        raw.send(upgrade())
        assert b" 101 " in await raw.read_head()
        async with connected(lab) as refused:
            assert b" 503 " in await refused.read_head()
    await lab.until_quiet()
    async with connected(lab) as raw:
        raw.send(upgrade())
        assert b" 101 " in await raw.read_head()
