"""Two people who chat by two gateways, while the Redis between these is changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from shared.settings import Settings
from tests.support.client import Rest, Socket
from tests.support.processes import Processes

Chat = Callable[[str], Awaitable[None]]
"""Sends a text from one to the other, and returns when it has arrived."""


@asynccontextmanager
async def two_people(settings: Settings, folder: Path) -> AsyncIterator[Chat]:
    """Start an API and two gateways, and connect one person to each gateway.

    The file `redis_password` in the folder has the processes' password. At the end, Redis must have refused them
    nothing.
    """
    async with AsyncExitStack() as stack:
        processes = Processes(settings, folder)
        stack.push_async_callback(processes.stop)
        secret = {"REDIS_PASSWORD_FILE": str(folder / "redis_password")}
        api, *gateways = await asyncio.gather(
            processes.api(**secret), processes.gateway(**secret), processes.gateway(**secret)
        )
        rest = await stack.enter_async_context(Rest(api.url))
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
        sockets = []
        for gateway, person in zip(gateways, (ann, bob), strict=True):
            socket = await stack.enter_async_context(await Socket.connect(gateway.socket_url, person.token))
            assert (await socket.join(person.topic))["status"] == "ok"
            sockets.append(socket)

        async def chat(text: str) -> None:
            reply = await sockets[0].push(ann.topic, "send", {"to": str(bob.id), "message": text})
            assert reply["status"] == "ok"
            # After a gap, a message may come again, with the same id.
            await sockets[1].take(lambda frame: frame[3] == "send" and frame[4]["message"] == text)

        yield chat
        for process in (api, *gateways):
            assert "NOPERM" not in process.output()
