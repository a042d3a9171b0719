"""A process serves until it is told to stop; then it runs its farewell, finishes open requests, and accepts no more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from shared.serving import serve_until, stop_signal

SOON = 10.0


class Process:
    """A server with one slow route, on a free port."""

    def __init__(
        self, stop: asyncio.Event, leave: Callable[[], Awaitable[None]], *, finish_seconds: float = SOON
    ) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.cleaned_up = False
        self.listens: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        app = web.Application()
        app.router.add_get("/slow", self._slow)
        app.router.add_post("/slow", self._read)
        app.on_cleanup.append(self._clean_up)
        self.served = asyncio.create_task(
            serve_until(
                stop, app, self._listen, leave, name="API", host="127.0.0.1", port=0, keepalive_seconds=1.0,
                finish_seconds=finish_seconds,
            )
        )  # fmt: skip

    async def _listen(self, server: web.Server) -> asyncio.Server:
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        self.listens.set_result(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/slow")
        return listener

    async def _slow(self, _: web.Request) -> web.Response:
        self.begun.set()
        await self.may_end.wait()
        return web.Response(text="done")

    async def _read(self, request: web.Request) -> web.Response:
        self.begun.set()
        return web.Response(text=await request.text())

    async def _clean_up(self, _: web.Application) -> None:
        self.cleaned_up = True


async def test_open_requests_are_answered_and_later_connections_are_refused() -> None:
    stop, left = asyncio.Event(), asyncio.Event()

    async def leave() -> None:
        # During the farewell, new connections are still accepted.
        async with aiohttp.ClientSession() as client, client.get(await process.listens) as response:
            assert response.status == 200
        process.may_end.clear()
        process.begun.clear()
        left.set()
        await process.begun.wait()

    async with asyncio.timeout(SOON), aiohttp.ClientSession() as client:
        process = Process(stop, leave)
        process.may_end.set()
        url = await process.listens
        stop.set()
        await left.wait()
        under_way = asyncio.create_task(client.get(url))
        await process.begun.wait()
        while True:
            try:
                async with asyncio.timeout(0.2), aiohttp.ClientSession() as other, other.get(url):
                    pass
            except aiohttp.ClientConnectorError:
                break
            except TimeoutError:
                continue
        assert not process.cleaned_up
        process.may_end.set()
        response = await under_way
        assert await response.text() == "done"
        await process.served
    assert process.cleaned_up


async def test_a_request_whose_body_comes_after_the_stop_is_answered() -> None:
    stop, listens_no_more = asyncio.Event(), asyncio.Event()

    async def leave() -> None:
        pass

    async def body() -> AsyncIterator[bytes]:
        yield b"first, "
        await listens_no_more.wait()
        yield b"last"

    async with asyncio.timeout(SOON / 2), aiohttp.ClientSession() as client:
        process = Process(stop, leave)
        url = await process.listens
        posted = asyncio.create_task(client.post(url, data=body()))
        await process.begun.wait()
        stop.set()
        while not listens_no_more.is_set():
            try:
                async with aiohttp.ClientSession() as other, other.get(url):
                    pass
            except aiohttp.ClientConnectorError:
                listens_no_more.set()
        response = await posted
        assert (response.status, await response.text()) == (200, "first, last")
        await process.served
    assert process.cleaned_up


async def test_a_request_whose_body_never_ends_does_not_keep_a_process_running() -> None:
    stop, never = asyncio.Event(), asyncio.Event()

    async def leave() -> None:
        pass

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await never.wait()

    async with asyncio.timeout(SOON), aiohttp.ClientSession() as client:
        process = Process(stop, leave, finish_seconds=0.2)
        posted = asyncio.create_task(client.post(await process.listens, data=body()))
        await process.begun.wait()
        stop.set()
        await process.served
        with pytest.raises(aiohttp.ClientError):
            await posted
    assert process.cleaned_up


async def test_a_taken_port_is_reported_with_its_settings_and_the_app_is_cleaned_up() -> None:
    cleaned_up = asyncio.Event()
    app = web.Application()

    async def clean_up(_: web.Application) -> None:
        cleaned_up.set()

    async def listen(_: web.Server) -> asyncio.Server:
        raise OSError("taken")

    async def leave() -> None:
        raise AssertionError("a process that never listened must not run its farewell")

    app.on_cleanup.append(clean_up)
    with pytest.raises(OSError, match=r"GATEWAY_HOST, GATEWAY_PORT: cannot listen on 127\.0\.0\.1:4000"):
        await serve_until(
            asyncio.Event(), app, listen, leave, name="GATEWAY", host="127.0.0.1", port=4000, keepalive_seconds=1.0,
        )  # fmt: skip
    assert cleaned_up.is_set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_process_without_workers_stops_in_order_after(number: signal.Signals) -> None:
    stop = stop_signal()
    try:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(SOON):
            await stop.wait()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(each)
