"""A load balancer or proxy between browsers and gateways, which can refuse or cut WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.support.processes import Node

_CHUNK = 64 * 1024
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_PERMISSION = (
    b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n"
    b"Connection: close\r\n\r\n"
)
"""The answer to a browser's preflight request, which comes because page and gateway have different addresses here."""


class FrontDoor:
    """Passes each connection to the first node that accepts it, and counts all WebSockets and the refused ones.

    A test can change the attributes at any time; this affects only new connections.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes: list[Node] = []
        self.as_new(nodes)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stranded: set[asyncio.Task[None]] = set()
        self._silent: list[asyncio.StreamWriter] = []
        """Connections to browsers that are open, and of which nobody hears anything."""

    def as_new(self, nodes: Sequence[Node]) -> None:
        self.nodes[:] = nodes
        self.lets_websockets_through = True
        self.cuts_websockets_after: float | None = None
        """Seconds."""
        self.answer: bytes | None = None
        """A whole HTTP response, which every request gets instead of a node's answer."""
        self.websockets = 0
        self.refused = 0
        self.answered = 0
        """The number of requests that got `answer`."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()
        for writer in self._silent:
            writer.transport.abort()
        await self._server.wait_closed()

    async def cut(self) -> None:
        """End every connection that is open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def strand(self) -> None:
        """End every connection at the node, and let the browser hear nothing of that."""
        for task in self._tasks:
            self._stranded.add(task)
        await self.cut()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        # Not the task closes the connection: one that is cancelled before its first step does nothing at all.
        task.add_done_callback(lambda done: self._close_or_strand(done, writer))

    def _close_or_strand(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._tasks.discard(task)
        if task in self._stranded:
            self._silent.append(writer)
        else:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._answer_or_pass_on(reader, writer)

    async def _answer_or_pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_websocket = b"upgrade: websocket" in head.lower()
        self.websockets += is_websocket
        if self.answer is not None:
            writer.write(_PERMISSION if head.startswith(b"OPTIONS ") else self.answer)
            await writer.drain()
            self.answered += 1
            return
        if is_websocket and not self.lets_websockets_through:
            self.refused += 1
            writer.write(_REFUSAL)
            await writer.drain()
            return
        lasts = self.cuts_websockets_after if is_websocket else None
        for node in self.nodes:
            try:
                node_reader, node_writer = await asyncio.open_connection("127.0.0.1", node.port)
            except OSError:
                continue
            try:
                node_writer.write(head)
                async with asyncio.timeout(lasts), asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(reader, node_writer))
                    both.create_task(_pass_on(node_reader, writer))
            except* (OSError, TimeoutError):
                pass
            finally:
                node_writer.close()
            return


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on bytes until the reader ends; then close the writer."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()
