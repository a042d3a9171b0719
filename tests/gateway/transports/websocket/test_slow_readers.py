"""Tests clients that read slowly or not at all: what they still get, when they are closed, and that nobody waits."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import BINARY, CLOSE, TEXT, RawSocket, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY, joined, message
from tests.support.waiting import PATIENCE_SECONDS


async def test_a_client_that_reads_nothing_is_closed_and_delays_nobody(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=100_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    good = await lab.connect_raw(2)
    await joined(slow, "lab:ok")
    await joined(good, "lab:ok")
    sent = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(lab.endpoint.connections) == 2:
            lab.endpoint.broadcast("lab:ok", "news", {"n": sent, "fill": "x" * 20_000})
            sent += 1
            assert json.loads((await good.receive()).payload)[4]["n"] == sent - 1
    # The kernel buffers a few megabytes for a reader.
    assert sent * 20_000 < 20_000_000
    good.send(frame(HEARTBEAT))
    assert await good.receive() == (TEXT, HEARTBEAT_REPLY)
    assert len(lab.endpoint.topics) == 1


async def test_a_client_that_asks_for_large_replies_and_reads_nothing_is_closed(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=100_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    await joined(slow, "lab:ok")
    for _ in range(400):
        slow.send(frame(message("j1", "r1", "lab:ok", "big", {"n": 50_000})))
    await lab.until(lambda: not lab.endpoint.connections)


async def flooded(lab: LabServer, slow: RawSocket, bytes_waiting: int) -> int:
    """Broadcast until `bytes_waiting` bytes wait for a client that does not read; return the number of broadcasts."""
    (connection,) = lab.endpoint.connections
    sent = 0
    while connection.outbox_bytes < bytes_waiting and lab.endpoint.connections:
        lab.endpoint.broadcast("lab:ok", "news", {"n": sent, "fill": "x" * 20_000})
        sent += 1
        await asyncio.sleep(0)
    return sent


async def numbers_until_close(slow: RawSocket) -> tuple[list[int], int]:
    """Read up to the close; return the numbers of the broadcasts, and the code of the close."""
    numbers: list[int] = []
    while True:
        opcode, payload = await slow.receive()
        if opcode == CLOSE:
            return numbers, int.from_bytes(payload[:2], "big")
        numbers.append(json.loads(payload)[4]["n"])


async def test_a_slow_reader_past_its_limit_gets_the_earlier_frames_and_the_code(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=500_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    await joined(slow, "lab:ok")
    sent = await flooded(lab, slow, 10**9)
    assert not lab.endpoint.connections
    await asyncio.sleep(0.3)
    numbers, code = await numbers_until_close(slow)
    assert numbers == list(range(len(numbers)))
    assert sent - 2 <= len(numbers) <= sent
    assert code == 1013
    assert await slow.end() == b""


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "still sending"])
async def test_a_reader_half_a_second_behind_gets_all_frames_and_the_code_of_a_disconnect(
    start_lab: StartLab, talks: bool
) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000)
    slow = await lab.connect_raw(7, receive_buffer=4096)
    await joined(slow, "lab:ok")
    sent = await flooded(lab, slow, 1_000_000)
    lab.endpoint.disconnect(7)
    await lab.until(lambda: not len(lab.endpoint.topics))
    assert lab.endpoint.connections._leaving, "the connection must be kept until its bytes are read"
    for _ in range(10):
        if talks:
            slow.send(frame(HEARTBEAT), frame(b"x" * 10_000, BINARY))
        await asyncio.sleep(0.05)
    assert await numbers_until_close(slow) == (list(range(sent)), 1001)
    assert await slow.end() == b""


async def test_a_client_that_never_reads_its_close_is_cut_off(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000, close_seconds=0.4)
    slow = await lab.connect_raw(7, receive_buffer=4096)
    await joined(slow, "lab:ok")
    await flooded(lab, slow, 1_000_000)
    before = time.monotonic()
    lab.endpoint.disconnect(7)
    await lab.until(lambda: bool(lab.endpoint.connections._leaving))
    await lab.until(lambda: not lab.endpoint.connections._leaving)
    assert time.monotonic() - before > 0.3


async def test_bytes_waiting_for_closed_clients_count_in_the_shared_limit(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000, max_total_outbox_bytes=1_500_000, close_seconds=60.0)
    readers = [await lab.connect_raw(number, receive_buffer=4096) for number in range(1, 5)]
    for reader in readers:
        await joined(reader, "lab:ok")
    while min((one.outbox_bytes for one in lab.endpoint.connections), default=0) < 1_000_000:
        lab.endpoint.broadcast("lab:ok", "news", {"fill": "x" * 20_000})
        await asyncio.sleep(0)
    for number in range(1, 5):
        lab.endpoint.disconnect(number)
    await lab.until(lambda: sum(one.unread_bytes for one in lab.endpoint.connections._leaving) > 3_900_000)
    await lab.until(lambda: sum(one.unread_bytes for one in lab.endpoint.connections._leaving) <= 1_500_000)
    # The connections that were cut are removed a moment later.
    await lab.until(lambda: len(lab.endpoint.connections._leaving) <= 1)
    assert len(lab.endpoint.connections._leaving) == 1


async def test_a_drain_waits_for_slow_readers(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=4_000_000, drain_seconds=0.05)
    slow = await lab.connect_raw(7, receive_buffer=4096)
    await joined(slow, "lab:ok")
    sent = await flooded(lab, slow, 1_000_000)
    draining = asyncio.create_task(lab.endpoint.drain())
    await lab.until(lambda: not lab.endpoint.connections)
    # It has closed all, and would be done in the next turns of the loop.
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    assert await numbers_until_close(slow) == (list(range(sent)), 1012)
    await slow.close()
    await draining


async def test_a_slow_reader_within_its_limit_gets_everything(start_lab: StartLab) -> None:
    lab = await start_lab(max_outbox_bytes=2_000_000)
    slow = await lab.connect_raw(1, receive_buffer=4096)
    await joined(slow, "lab:ok")
    for number in range(50):
        lab.endpoint.broadcast("lab:ok", "news", {"n": number, "fill": "x" * 20_000})
    for number in range(50):
        assert json.loads((await slow.receive()).payload)[4]["n"] == number
