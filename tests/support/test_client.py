"""The client of the tests gives signs of life while a test does something else."""

from __future__ import annotations

from aiohttp import WSMsgType, web
from aiohttp.test_utils import RawTestServer

from tests.support.client import Socket


async def test_a_socket_on_which_a_test_sends_nothing_pings() -> None:
    kinds: list[WSMsgType] = []

    async def answer(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        kinds.extend([(await socket.receive()).type for _ in range(2)])
        await socket.close(code=1001)
        return socket

    async with (
        RawTestServer(answer) as server,
        await Socket.connect(str(server.make_url("/")), None, ping_seconds=0.01) as socket,
    ):
        assert await socket.closed() == 1001
    assert kinds == [WSMsgType.PING, WSMsgType.PING]
