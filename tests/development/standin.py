"""Stands in for the API and the gateway in tests of the supervisor: it listens, and answers that it is ready."""

from __future__ import annotations

import asyncio
import os
import signal


async def serve(port_variable: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ[port_variable]))
    await stopped.wait()
    server.close()
