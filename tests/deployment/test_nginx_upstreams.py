"""nginx finds the process that is up, also just after it has come back."""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.deployment.nginx import find_nginx, running_nginx
from tests.support.ports import free_port

REQUESTS = 6
"""Enough for nginx to choose each process more than once."""


async def answer(_: web.BaseRequest) -> web.Response:
    return web.Response(text="{}")


@pytest.mark.servers
@pytest.mark.parametrize("path", ["/api/listings", "/socket/longpoll"])
async def test_a_process_that_has_just_come_back_serves_when_the_other_goes(path: str) -> None:
    """An operator replaces one process after the other, and stops the second as soon as the first is healthy."""
    program = find_nginx()
    if program is None:
        pytest.skip("no nginx on this machine")
    first, second = free_port(), free_port()
    ports = {"gateway-1:4000": first, "gateway-2:4000": second, "api-1:4001": first, "api-2:4001": second}
    async with running_nginx(program, ports) as nginx, aiohttp.ClientSession() as client, AsyncExitStack() as later:

        async def answers() -> list[int]:
            statuses = []
            for _ in range(REQUESTS):
                async with client.get(f"{nginx.url}{path}") as response:
                    statuses.append(response.status)
            return statuses

        async with RawTestServer(answer, port=second):
            assert await answers() == [200] * REQUESTS
            await later.enter_async_context(RawTestServer(answer, port=first))
        assert await answers() == [200] * REQUESTS
