"""nginx as it is shipped lets no stranger name a trace, and one line of its configuration lets a proxy do so."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.deployment import nginx
from tests.deployment.nginx import CONFIGURATION, find_nginx, running_nginx

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
CLEARS = 'proxy_set_header traceparent "";'
KEPT = re.compile(r"#\s+(proxy_set_header traceparent .*;)")


@pytest.mark.servers
@pytest.mark.parametrize("is_kept", [False, True])
async def test_only_with_the_documented_line_a_traceparent_reaches_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    program = find_nginx()
    if program is None:
        pytest.skip("no nginx on this machine")
    for file in CONFIGURATION.iterdir():
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    text = (tmp_path / "nginx.conf").read_text(encoding="utf-8")
    assert text.count(CLEARS) == 1
    [line] = KEPT.findall(text)
    if is_kept:
        (tmp_path / "nginx.conf").write_text(text.replace(CLEARS, line), encoding="utf-8")
    monkeypatch.setattr(nginx, "CONFIGURATION", tmp_path)

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.headers.get("traceparent", "none"))

    async with RawTestServer(answer) as process, aiohttp.ClientSession() as client:
        names = ("gateway-1:4000", "gateway-2:4000", "api-1:4001", "api-2:4001")
        assert process.port is not None
        async with running_nginx(program, dict.fromkeys(names, process.port)) as running:
            for path in ("/api/listings", "/api/uploads/1", "/socket/longpoll", "/socket/websocket"):
                async with client.get(f"{running.url}{path}", headers={"traceparent": TRACEPARENT}) as response:
                    assert await response.text() == (TRACEPARENT if is_kept else "none"), path
