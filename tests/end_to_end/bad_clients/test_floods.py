"""Clients that push too much, or read nothing: they are refused or closed, and harm only themselves."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.end_to_end.bad_clients.bystanders import nobody_else_is_harmed
from tests.end_to_end.bad_clients.gateway import Gateway, next_frames, text
from tests.gateway.transports.raw_socket import frame
from tests.support.client import Socket

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLOW_CLOSES = 'closes_total{reason="too slow"}'


def allowed(burst: int, rate: float, seconds: float) -> float:
    """How often a person may do something in this time: a burst, and then `rate` times in each second."""
    return burst + rate * seconds


async def test_clients_that_stop_reading_are_closed(gateway: Gateway) -> None:
    closed = await gateway.metric(SLOW_CLOSES)
    people = gateway.people(9)
    async with nobody_else_is_harmed(gateway):
        not_reading = []
        for user_id, token in people:
            socket = await gateway.raw(token, receive_buffer=4096)
            socket.send(text("1", "1", f"private_chat:{user_id}", "phx_join", {}))
            await next_frames(socket, 1)
            not_reading.append(socket)
        # These clients do not read the replies to their own pushes.
        long = "x" * 30_000
        for (user_id, _), socket in zip(people, not_reading, strict=True):
            push = text("1", "2", f"private_chat:{user_id}", "phx_join", {"padding": long})
            socket.send(push)
            for number in range(4000):
                socket.send(frame(json.dumps([None, f"{number}" * 1000, "phoenix", "heartbeat", {}]).encode()))
        await gateway.until_metric(SLOW_CLOSES, closed + len(not_reading))
        for socket in not_reading:
            await socket.close()


async def test_people_who_send_too_much_are_refused_and_do_not_slow_others(gateway: Gateway) -> None:
    """Twenty people send a thousand messages each, at the same time."""
    people = gateway.people(20)

    async def flood(user_id: int, token: str) -> tuple[int, int]:
        socket = await gateway.raw(token)
        topic = f"private_chat:{user_id}"
        socket.send(text("1", "1", topic, "phx_join", {}))
        await next_frames(socket, 1)
        payload = {"to": user_id, "message": "spam"}
        socket.send(*(text("1", f"{number}", topic, "send", payload) for number in range(1000)))
        statuses: list[Any] = []
        while len(statuses) < 1000:
            _, _, _, event, answer = json.loads((await socket.receive()).payload)
            if event == "phx_reply":
                statuses.append(answer)
        await socket.close()
        refused = [answer for answer in statuses if answer["status"] == "error"]
        assert all(answer["response"] == {"reason": "too many requests"} for answer in refused)
        return len(statuses) - len(refused), len(refused)

    async with nobody_else_is_harmed(gateway):
        begin = time.monotonic()
        counts = await asyncio.gather(*(flood(*person) for person in people))
        settings = gateway.settings
        most = allowed(settings.send_burst, settings.sends_per_second, time.monotonic() - begin)
    assert all(100 <= accepted <= most and refused for accepted, refused in counts), (counts, most)


@pytest.mark.parametrize("much", ["typing", "read"])
async def test_a_user_over_the_limit_of_one_event_can_still_push_the_others(gateway: Gateway, much: str) -> None:
    [(user_id, token)] = gateway.people(1)
    topic = f"private_chat:{user_id}"
    payloads = {
        "typing": {"to": user_id},
        "read": {"with": user_id, "up_to": 1},
        "send": {"to": user_id, "message": "x"},
    }
    async with await Socket.connect(gateway.node.socket_url, token) as socket:
        await socket.join(topic)
        answers = [await socket.push(topic, much, payloads[much]) for _ in range(150)]
        assert {"status": "error", "response": {"reason": "too many requests"}} in answers
        for other in payloads.keys() - {much}:
            assert (await socket.push(topic, other, payloads[other]))["status"] == "ok"


async def test_another_join_or_connection_does_not_raise_a_users_limit(gateway: Gateway) -> None:
    [(user_id, token)] = gateway.people(1)
    topic = f"private_chat:{user_id}"
    accepted = 0
    begin = time.monotonic()
    for _ in range(3):
        async with await Socket.connect(gateway.node.socket_url, token) as socket:
            for turn in range(3):
                await socket.join(topic, join_ref=f"j{turn}")
                for _ in range(60):
                    answer = await socket.push(topic, "typing", {"to": user_id}, join_ref=f"j{turn}")
                    accepted += answer["status"] == "ok"
    # A limit for each connection or join would allow a burst nine times.
    settings = gateway.settings
    assert accepted <= allowed(settings.typing_burst, settings.typings_per_second, time.monotonic() - begin)


async def test_a_flood_of_heartbeats_slows_nobody_else(gateway: Gateway) -> None:
    people = gateway.people(10)
    beats = text(None, "1", "phoenix", "heartbeat", {}) * 500

    async def flood(token: str) -> None:
        socket = await gateway.raw(token)
        for _ in range(20):
            socket.send(beats)
            await next_frames(socket, 500)
        await socket.close()

    async with nobody_else_is_harmed(gateway):
        await asyncio.gather(*(flood(token) for _, token in people))
