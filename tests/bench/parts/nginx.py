"""The memory that nginx, as shipped, needs for an open socket, without and with TLS, and how its workers share them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psutil

from tests.bench.compiler import CannotBench
from tests.bench.rounds import Effort
from tests.bench.stage import Stage
from tests.bench.table import Row
from tests.deployment.nginx import Nginx, find_nginx, running_nginx

WARM_UP = 200
MOST_WITH_TLS = 4_000
"""The clients' side of a socket with TLS needs far more memory than nginx's."""
AT_ONCE = 50
"""Sockets that connect at the same time."""
PER_ADDRESS = 500
"""Sockets from one address, of which nginx admits a limited number."""
PROCESSES = ("gateway-1:4000", "gateway-2:4000", "api-1:4001", "api-2:4001")
BEAT_SECONDS = 15.0
"""Shorter than the time after which the gateway closes a silent socket."""
HEARTBEAT = b'[null,"1","phoenix","heartbeat",{}]'
FRAME = bytes((0x81, 0x80 | len(HEARTBEAT))) + bytes(4) + HEARTBEAT
"""A text frame with the mask 0."""
ANSWERED = b'"status":"ok"'


def program() -> str:
    """The path of nginx. Raises CannotBench."""
    found = find_nginx()
    if found is None:
        raise CannotBench("the part `nginx` needs nginx")
    return found


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    tokens = [line.split()[1] for line in stage.generator.tokens.read_text().splitlines()]
    for with_tls, most in ((False, stage.most_users), (True, MOST_WITH_TLS)):
        connections = min(most, effort.users)
        async with stage.nodes() as nodes:
            node = await nodes.gateway()
            ports = dict.fromkeys(PROCESSES, node.port)
            async with running_nginx(program(), ports, with_tls=with_tls) as nginx:
                sockets = Sockets(nginx, with_tls)
                async with sockets.beating():
                    await sockets.connect(tokens[:WARM_UP])
                    before = _bytes_of_its_own(nginx)
                    await sockets.connect(tokens[:connections])
                    kilobytes = (_bytes_of_its_own(nginx) - before) / connections / 1000
                    assert sockets.open == WARM_UP + connections
                    shares = sorted(len(os.listdir(f"/proc/{worker.pid}/fd")) for worker in _workers(nginx))
        name = "with TLS" if with_tls else "without TLS"
        yield Row(
            what=f"memory of nginx for a socket, {connections:,}: {name}",
            value=f"{kilobytes:.1f} KB",
            compared=f"{before / 1e6:.0f} MB before; its workers' descriptors: {' and '.join(map(str, shares))}",
        )


class Sockets:
    """WebSockets through nginx, from many addresses."""

    def __init__(self, nginx: Nginx, with_tls: bool) -> None:
        self._port = nginx.port
        self._tls = _trusting() if with_tls else None
        self._places = asyncio.Semaphore(AT_ONCE)
        self._sockets: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @property
    def open(self) -> int:
        return sum(not reader.at_eof() for reader, _ in self._sockets)

    async def connect(self, tokens: Sequence[str]) -> None:
        """Open a WebSocket with each token, and let a heartbeat go both ways: nginx has buffers for both."""
        await asyncio.gather(*(self._connect(number, token) for number, token in enumerate(tokens)))

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Keep all sockets open in the block, and close them at its end."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            for _, writer in self._sockets:
                writer.transport.abort()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for _, writer in self._sockets:
                writer.write(FRAME)

    async def _connect(self, number: int, token: str) -> None:
        async with self._places:
            address = f"127.0.1.{1 + number // PER_ADDRESS}"
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(address, 0), ssl=self._tls
            )
            head = [
                f"GET /socket/websocket?vsn=2.0.0&token={token} HTTP/1.1",
                *("Host: localhost", "Connection: Upgrade", "Upgrade: websocket"),
                *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
            ]
            writer.write("\r\n".join([*head, "", ""]).encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            writer.write(FRAME)
            await reader.readuntil(ANSWERED)
            self._sockets.append((reader, writer))


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _workers(nginx: Nginx) -> list[psutil.Process]:
    return list(nginx.process.children())


def _bytes_of_its_own(nginx: Nginx) -> int:
    """What the processes would give back if they ended. What they share counts nowhere."""
    return sum(process.memory_full_info().uss for process in (nginx.process, *_workers(nginx)))
