"""Tests how many WebSockets a user may have at a time."""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp
import pytest

from tests.gateway.counted import counted
from tests.gateway.transports.conftest import StartLab
from tests.gateway.transports.raw_socket import TEXT, frame
from tests.gateway.transports.websocket.frames import HEARTBEAT, HEARTBEAT_REPLY
from tests.lab.tokens import token_of


async def test_concurrent_websockets_of_a_user_past_the_limit_get_429(start_lab: StartLab) -> None:
    lab = await start_lab(max_websockets_per_user=3)
    sockets = await asyncio.gather(*(lab.connect_raw(7) for _ in range(10)))
    assert Counter(raw.head.split()[1] for raw in sockets) == {b"101": 3, b"429": 7}
    assert counted(lab.endpoint.counts.refused) == {"too many websockets": 7}
    others = await lab.connect(8)
    await others.close()


async def test_open_websockets_stay_at_the_limit_and_a_closed_one_makes_room(start_lab: StartLab) -> None:
    lab = await start_lab(max_websockets_per_user=2)
    first, second = await lab.connect_raw(7), await lab.connect_raw(7)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
        await lab.connect(7)
    for raw in (first, second):
        raw.send(frame(HEARTBEAT))
        assert await raw.receive() == (TEXT, HEARTBEAT_REPLY)
    await first.close()
    await lab.until(lambda: len(lab.endpoint.connections) == 1)
    third = await lab.connect(7)
    await third.close()


async def test_long_polls_do_not_count_in_the_limit_of_websockets(start_lab: StartLab) -> None:
    lab = await start_lab(max_websockets_per_user=1)
    await lab.get(path="/../longpoll", vsn="2.0.0", token=token_of(7))
    assert len(lab.endpoint.connections) == 1
    socket = await lab.connect(7)
    await socket.close()
