"""A network between clients and a node, which a test can cut: no byte passes then, and no side gets an error."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards TCP to a port of this machine, or to a socket file. While it is cut, a new connection hangs."""

    def __init__(self, to: int | str) -> None:
        self._to = to
        self.refuses = False
        """True: each new connection is ended at once."""
        self.most: int | None = None
        """The first connection over which clients send so many bytes from its begin on is ended; then None again."""
        self.stays_away = False
        """Whether it refuses new connections after `most` has ended one."""
        self.sent = 0
        """The bytes that clients have sent, over all connections."""
        self.has_cut = asyncio.Event()
        """Set when `most` has ended a connection."""
        self._there, self._back = asyncio.Event(), asyncio.Event()
        self.mend()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/socket/websocket"

    def cut(self) -> None:
        """From now on, forward neither bytes nor the end of a connection, in either direction."""
        self._there.clear()
        self._back.clear()

    def cut_answers(self) -> None:
        """From now on, forward only what clients send."""
        self._back.clear()

    def mend(self) -> None:
        self._there.set()
        self._back.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.refuses:
            writer.transport.abort()
            return
        await self._there.wait()
        try:
            if isinstance(self._to, str):
                there_reader, there_writer = await asyncio.open_unix_connection(self._to)
            else:
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there_writer)
        for source, sink, whole in ((reader, there_writer, self._there), (there_reader, writer, self._back)):
            task = asyncio.create_task(self._forward(source, sink, whole))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: asyncio.Event) -> None:
        try:
            passed, is_client = 0, whole is self._there
            while data := await reader.read(65536):
                await whole.wait()
                if is_client and self.most is not None and passed + len(data) >= self.most:
                    data, self.most = data[: max(0, self.most - passed)], None
                    self.sent += len(data)
                    writer.write(data)
                    # What was passed on arrives before the end.
                    writer.close()
                    self.refuses = self.stays_away
                    self.has_cut.set()
                    return
                writer.write(data)
                await writer.drain()
                passed += len(data)
                self.sent += len(data) if is_client else 0
            await whole.wait()
        except OSError:
            pass
        writer.transport.abort()
