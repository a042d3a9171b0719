"""Loads an HTTP server: some connections, each with one request at a time, for some seconds. Prints one line of JSON.

It is used when wrk is not installed. It understands only answers with a Content-Length.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import uvloop


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], latencies: list[float], until: float) -> None:
        self._requests = requests
        self._latencies = latencies
        self._until = until
        self._received = bytearray()
        self._sent_at = 0.0
        self._transport: asyncio.Transport
        self.failures = 0
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._received.lower().find(b"content-length: ", 0, head)
        length = int(self._received[at + 16 : self._received.find(b"\r\n", at)])
        if len(self._received) < head + 4 + length:
            return
        if not self._received.startswith(b"HTTP/1.1 200"):
            self.failures += 1
        now = time.perf_counter()
        self._latencies.append(now - self._sent_at)
        self._received.clear()
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


async def load(origin: str, paths: list[str], connections: int, seconds: float, header: str) -> dict[str, float]:
    """Request the paths in turn. Returns requests a second, p50 and p99 in milliseconds, and the count of failures.

    A failure is an answer with another status than 200.
    """
    parts = urlsplit(origin)
    assert parts.hostname is not None
    assert parts.port is not None
    address = parts.hostname, parts.port
    head = f"Host: {parts.netloc}\r\n{header and header + chr(13) + chr(10)}\r\n"
    requests = itertools.cycle([f"GET {path} HTTP/1.1\r\n{head}".encode() for path in paths])
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    protocols = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(
            lambda: _Connection(requests, latencies, started + seconds), *address
        )
        protocols.append(protocol)
    await asyncio.gather(*(protocol.finished for protocol in protocols))
    took = time.perf_counter() - started
    latencies.sort()
    return {
        "requests": len(latencies),
        "per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "failures": sum(protocol.failures for protocol in protocols),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Load a server with GET requests.")
    parser.add_argument("origin", help="http://HOST:PORT; the paths are read from stdin, a line each")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--header", default="", help="a line that each request has")
    given = parser.parse_args()
    paths = sys.stdin.read().split()
    print(json.dumps(uvloop.run(load(given.origin, paths, given.connections, given.seconds, given.header))))
