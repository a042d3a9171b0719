"""Clients that join and leave thousands of times: every join is answered, and harms nobody."""

from __future__ import annotations

import pytest

from tests.end_to_end.bad_clients.bystanders import nobody_else_is_harmed
from tests.end_to_end.bad_clients.gateway import Gateway, next_frames, text

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_all_of_ten_thousand_joins_are_answered_and_their_number_is_bounded(gateway: Gateway) -> None:
    [(user_id, token)] = gateway.people(1)
    async with nobody_else_is_harmed(gateway):
        socket = await gateway.raw(token)
        topics = [f"private_chat:{user_id + number + 1}" for number in range(5000)]
        topics += [f"nosuch:{number}" for number in range(4000)]
        topics += [f"listing:{number}" for number in range(1000)]
        joins = [text(f"{n}", f"{n}", topic, "phx_join", {}) for n, topic in enumerate(topics)]
        reasons: dict[str, int] = {}
        for start in range(0, len(joins), 1000):
            socket.send(*joins[start : start + 1000])
            for _, _, _, event, answer in await next_frames(socket, 1000):
                assert (event, answer["status"]) == ("phx_reply", "error")
                reason = answer["response"]["reason"]
                reasons[reason] = reasons.get(reason, 0) + 1
        await socket.close()
    assert set(reasons) <= {
        "unauthorized",
        "user not found",
        "unmatched topic",
        "too many channels joined",
        "not found",
    }
    assert reasons["unmatched topic"] == 4000
    assert reasons["too many channels joined"] > 0


async def test_a_topic_can_be_joined_and_left_thousands_of_times(gateway: Gateway) -> None:
    [(user_id, token)] = gateway.people(1)
    topic = f"private_chat:{user_id}"
    async with nobody_else_is_harmed(gateway):
        socket = await gateway.raw(token)
        for start in range(0, 3000, 500):
            numbers = range(start, start + 500)
            socket.send(
                *(
                    text(f"{n}", f"{n}", topic, "phx_join", {}) + text(f"{n}", "x", topic, "phx_leave", {})
                    for n in numbers
                )
            )
            events = [answer[3] for answer in await next_frames(socket, 1500)]
            assert (events.count("phx_reply"), events.count("phx_close")) == (1000, 500)
        await socket.close()
