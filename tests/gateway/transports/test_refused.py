"""A refused connect has a line with the user and the network for the operator, and a counter."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest

from shared.access.actor import Actor
from shared.access.admission import Banned
from tests.gateway.transports.conftest import LabServer, StartLab
from tests.lab.tokens import token_of
from tests.support.security_events import events, told

ANN = 1


async def test_a_refused_connect_is_logged_with_the_network_behind_the_proxy(
    start_lab: StartLab, caplog: pytest.LogCaptureFixture
) -> None:
    async def admit(_: str) -> Actor:
        raise Banned(user_id=ANN)

    lab = await start_lab(admit=admit, trusted_proxies=(ip_network("127.0.0.0/8"),))
    behind = {"X-Forwarded-For": "203.0.113.7"}
    assert await lab.refusal({"token": "x"}, behind) == (403, b"")
    assert (await _poll(lab, "x", behind))["status"] == 403
    line = ("access_refused", {"user_id": ANN, "network": "203.0.113.0/24", "reason": Banned.reason})
    assert events(caplog) == [line, line]
    assert told(lab.endpoint.security_events) == {"access_refused": 2}


async def test_one_websocket_too_many_is_a_security_event(
    start_lab: StartLab, caplog: pytest.LogCaptureFixture
) -> None:
    lab = await start_lab(max_websockets_per_user=1)
    first = await lab.connect(7)
    assert (await lab.refusal({"token": token_of(7)}))[0] == 429
    assert not first.closed
    assert events(caplog) == [("limited", {"user_id": 7, "network": "127.0.0.0/24", "reason": "too many websockets"})]


async def test_refused_tokens_are_not_security_events(start_lab: StartLab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lab = await start_lab()
    assert (await lab.refusal({"token": "no token"}))[0] == 403
    assert events(caplog) == []
    assert told(lab.endpoint.security_events) == {}


async def _poll(lab: LabServer, access_token: str, headers: dict[str, str]) -> Any:
    url = f"http://127.0.0.1:{lab.port}/socket/longpoll"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, params={"token": access_token}, headers=headers) as answer,
    ):
        return await answer.json()
