"""Sends many random bytes to a real port: whatever arrives is answered or closed, and never raises an error."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from tests.gateway.transports.test_door import HEARTBEAT, HEARTBEAT_REPLY, connected, is_served, upgrade
from tests.support.waiting import PATIENCE_SECONDS

PAYLOADS = (
    b"",
    b"x",
    b"\xff",
    b"\x03\xe8",
    b"\x03\xeebye",
    b"x" * 126,
    b"[" * 500,
    b'["1","1","lab:ok","phx_join",{}]',
)


def some_frame(random: Random) -> bytes:
    """A frame that a client may send, more or less often."""
    if random.random() < 0.3:
        return HEARTBEAT
    if random.random() < 0.1:
        return random.randbytes(random.randrange(30))
    opcode = random.choice((TEXT, TEXT, BINARY, CONTINUATION, CONTINUATION, PING, PONG, CLOSE, random.randrange(16)))
    return frame(
        random.choice(PAYLOADS),
        opcode,
        fin=random.random() < 0.6,
        rsv=random.choice((0,) * 9 + (1,)),
        masked=random.random() < 0.95,
    )


class Heard(asyncio.Protocol):
    """A client that keeps all it hears, also if the connection is reset afterwards."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(None)


async def answer_to(lab: LabServer, data: bytes, random: Random, most: int) -> bytes:
    """Send the data and FIN in at most so many writes. Returns all that comes back."""
    transport, client = await asyncio.get_running_loop().create_connection(Heard, "127.0.0.1", lab.port)
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(most)))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if not transport.is_closing():
            transport.write(data[start:end])
            # The server's loop is this one: the next piece is then another read.
            await asyncio.sleep(0.001)
    if not transport.is_closing():
        transport.write_eof()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await client.ended
    return client.heard


async def test_frames_of_any_kind_are_answered_or_closed_the_same_in_any_pieces(
    start_lab: StartLab, caplog: pytest.LogCaptureFixture
) -> None:
    lab = await start_lab(max_message_bytes=1000)
    closed = 0
    for seed in range(60):
        random = Random(seed)
        data = upgrade() + b"".join(some_frame(random) for _ in range(random.randrange(1, 30)))
        at_once, in_pieces = [await answer_to(lab, data, random, most) for most in (1, 10)]
        assert at_once == in_pieces, seed
        closed += b"\x88" in at_once
    assert closed > 20
    await lab.until_quiet()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    raw = await lab.connect_raw()
    raw.send(HEARTBEAT)
    assert (await raw.receive()).payload == HEARTBEAT_REPLY


def spoilt(data: bytes, random: Random) -> bytes:
    """The data with a few bytes removed, added or changed."""
    changed = bytearray(data)
    for _ in range(random.randrange(4)):
        at = random.randrange(len(changed))
        changed[at : at + random.randrange(3)] = random.choice((b"", b"\r\n", b"\n", b" ", b":", b"\0", b"\xff", b"A"))
    return bytes(changed)


async def test_heads_of_any_kind_are_answered_the_same_in_any_pieces(
    lab: LabServer, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = set()
    for seed in range(100):
        random = Random(seed)
        data = spoilt(upgrade(), random) + random.choice((b"", HEARTBEAT))
        at_once, in_pieces = [(await answer_to(lab, data, random, most)).split(b"\r\n")[0] for most in (1, 10)]
        assert at_once == in_pieces, seed
        statuses.add(at_once[9:12])
    assert {b"101", b"400"} <= statuses
    await lab.until_quiet()
    # aiohttp's server tells of requests that it cannot parse.
    faults = [one for one in caplog.records if one.levelname == "ERROR" and one.name != "aiohttp.server"]
    assert faults == []
    async with connected(lab) as raw:
        raw.send(upgrade())
        assert b" 101 " in await raw.read_head()
        await is_served(raw)
