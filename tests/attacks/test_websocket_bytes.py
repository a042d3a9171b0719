"""Bytes that make work for whoever reads WebSockets, sent straight to a gateway, without nginx before it.

Everybody else's heartbeats there keep about their quiet time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from tests.attacks.bystander import ELSEWHERE
from tests.attacks.figures import Patience
from tests.attacks.flood import Flood, Line, joined
from tests.attacks.siege import Attack, Siege
from tests.gateway.transports.raw_socket import BINARY, CONTINUATION, PING, frame
from tests.support.waiting import until as happens

pytestmark = pytest.mark.asyncio(loop_scope="package")

HABITS = {"beat": 0.01, ELSEWHERE: 0.01}
PATIENCE = Patience(times_quiet=2.0, floors={"beat": 0.02}, turns=3)
"""A heartbeat needs three turns: the bystander's, the gateway's and the bystander's again. On an idle machine it takes
half a millisecond, and twice its p99 is less than the time that another process may take. Hence the floor.
"""
SOCKETS = 4
PINGS = frame(b"x" * 125, PING) * 500 + frame(b"", PING) * 500
FRAGMENTS = 100_000
MESSAGE = frame(b"x", BINARY, fin=False) + frame(b"x", CONTINUATION, fin=False) * (FRAGMENTS - 1)
LARGE_HEAD = 100 * 1024
HEADS_AT_ONCE = 20
DRIPPING = 300
DRIP_SECONDS = 0.05
HALF_HEADS, HALF_FRAMES = 9_000, 1_000
"""Connections without a whole head, and WebSockets whose first frame never ends: one user may have so many."""
AT_ONCE = 500


async def lay(siege: Siege, name: str, prepare: Callable[[int, str], AsyncIterator[Attack]]) -> Counter[str]:
    """Attack the first gateway, on which the bystander is too; it is also on the other one, for comparison."""
    node, other = siege.deployment.gateways
    context = asynccontextmanager(lambda address: prepare(node.port, address))
    figures = await siege.lay(
        name,
        context,
        habits=HABITS,
        socket_url=node.socket_url,
        elsewhere_url=other.socket_url,
        patience=PATIENCE,
    )
    return figures.answers


@pytest.mark.parametrize(
    ("name", "sent"), [("floods of pings", PINGS), ("fragments of one byte", MESSAGE)], ids=["pings", "fragments"]
)
async def test_floods_of_small_frames_keep_nobody_waiting(siege: Siege, name: str, sent: bytes) -> None:
    async def prepare(port: int, address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        async with joined(SOCKETS, port, attacker.token, address, []) as floods:

            async def attack(until: float) -> Counter[str]:
                async def send(flood: Flood) -> None:
                    try:
                        async with asyncio.timeout_at(until):
                            while not flood.has_ended:
                                await flood.send(sent)
                                await asyncio.sleep(0)
                    except TimeoutError:
                        return

                await asyncio.gather(*map(send, floods))
                return Counter({"open": sum(not flood.has_ended for flood in floods)})

            yield attack

    answers = await lay(siege, name, prepare)
    assert answers["open"] == SOCKETS


async def test_heads_of_100_kilobytes_keep_nobody_waiting(siege: Siege) -> None:
    async def prepare(port: int, address: str) -> AsyncIterator[Attack]:
        head = b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * LARGE_HEAD

        async def attack(until: float) -> Counter[str]:
            answers: Counter[str] = Counter()

            async def send() -> None:
                while asyncio.get_running_loop().time() < until:
                    async with Line.connected(port, address) as line:
                        line.write(head)
                        answers[await line.answer()] += 1

            await asyncio.gather(*(send() for _ in range(HEADS_AT_ONCE)))
            return answers

        yield attack

    answers = await lay(siege, "heads of 100 KB", prepare)
    assert answers["431"] > 0
    assert answers.keys() <= {"431", "cut off"}


async def test_frames_that_come_byte_by_byte_keep_nobody_waiting(siege: Siege) -> None:
    async def prepare(port: int, address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        async with joined(DRIPPING, port, attacker.token, address, []) as floods:

            async def attack(until: float) -> Counter[str]:
                data = itertools.cycle(frame(b"x" * 60_000, BINARY, fin=False)[:1000])
                while asyncio.get_running_loop().time() < until:
                    byte = bytes((next(data),))
                    for number, flood in enumerate(floods):
                        await flood.send(byte)
                        if number % 20 == 0:
                            await asyncio.sleep(DRIP_SECONDS * 20 / DRIPPING)
                return Counter({"open": sum(not flood.has_ended for flood in floods)})

            yield attack

    answers = await lay(siege, "slow bytes", prepare)
    assert answers["open"] == DRIPPING


async def test_ten_thousand_half_open_handshakes_keep_nobody_waiting_and_are_cut_off(siege: Siege) -> None:
    head_seconds = siege.deployment.settings.request_head_seconds

    async def prepare(port: int, address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        begun = [b"", b"GET /socket/websocket?vsn=2.0.0", b"GET /socket/longpoll HTTP/1.1\r\nHost: x\r\nX-Slow: "]

        async def attack(floods: list[Flood], until: float) -> Counter[str]:
            lines: list[Line] = []
            limit = asyncio.Semaphore(AT_ONCE)
            async with AsyncExitStack() as stack:

                async def open_one(number: int) -> None:
                    async with limit:
                        line = await stack.enter_async_context(Line.connected(port, address))
                        line.write(begun[number % len(begun)])
                        lines.append(line)

                async def drip() -> None:
                    while True:
                        for line in lines[1::3]:
                            if not line.has_ended:
                                line.write(b"x")
                            await asyncio.sleep(0)
                        for flood in floods:
                            await flood.send(b"x")
                            await asyncio.sleep(0)
                        await asyncio.sleep(DRIP_SECONDS)

                for flood in floods:
                    await flood.send(frame(b"x" * 60_000)[:4])
                await asyncio.gather(*(open_one(number) for number in range(HALF_HEADS)))
                dripping = asyncio.create_task(drip())
                await happens(lambda: all(line.has_ended for line in lines), head_seconds + 10.0)
                dripping.cancel()
                cut_off = sum(line.has_ended for line in lines)
                return Counter({"cut off": cut_off, "open": sum(not flood.has_ended for flood in floods)})

        async with joined(HALF_FRAMES, port, attacker.token, address, []) as floods:
            yield partial(attack, floods)

    answers = await lay(siege, "half-open handshakes", prepare)
    assert answers == {"cut off": HALF_HEADS, "open": HALF_FRAMES}
