"""An operator sees an attack on a gateway: each event has a line that says who did what, and a counter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.channel import Channel, JoinResult, Ok
from gateway.channels.private_chat import PrivateChat
from gateway.channels.rate_limit import UserBuckets
from shared.private_chat import EVENTS
from shared.settings import Settings
from tests.gateway.nodes import Client, start_node
from tests.support.security_events import events, told

ANN, BOB = 1, 2


class Room(Channel):
    async def join(self, topic: str, params: Any) -> JoinResult:
        return Ok()


async def is_registered(_: int) -> bool:
    return True


def context(**more: Any) -> SimpleNamespace:
    return SimpleNamespace(
        settings=Settings(),
        admission=SimpleNamespace(is_registered=is_registered),
        chats=SimpleNamespace(),
        **{"budgets": None, "join_budget": None, **more},
    )


async def test_a_join_of_somebody_elses_chat_is_a_security_event(caplog: pytest.LogCaptureFixture) -> None:
    node = await start_node({"private_chat:*": PrivateChat}, context=context())
    client = Client(node, ANN)
    client.says("j1", "r1", f"private_chat:{BOB}", "phx_join")
    assert (await client.gets(1))[0].payload["status"] == "error"
    assert events(caplog) == [
        ("access_refused", {"user_id": ANN, "channel": "PrivateChat", "topic": f"private_chat:{BOB}"})
    ]
    assert told(node.security_events) == {"access_refused": 1}
    await node.stop()


@pytest.mark.parametrize("event", [*EVENTS, "access_token"])
async def test_pushes_past_their_budget_are_security_events(caplog: pytest.LogCaptureFixture, event: str) -> None:
    none = UserBuckets(0.001, 0)
    budgets = dict.fromkeys(EVENTS, none)
    node = await start_node({"private_chat:*": PrivateChat}, context=context(budgets=budgets, join_budget=none))
    client = Client(node, ANN)
    await client.joins(f"private_chat:{ANN}")
    client.says("j1", "r1", f"private_chat:{ANN}", event)
    assert (await client.gets(1))[0].payload["response"] == {"reason": "too many requests"}
    assert events(caplog) == [("limited", {"user_id": ANN, "channel": "PrivateChat", "limit": event})]
    assert told(node.security_events) == {"limited": 1}
    await node.stop()


async def test_joins_past_their_budget_are_security_events(caplog: pytest.LogCaptureFixture) -> None:
    node = await start_node({"room:*": Room}, may_join=lambda _: False)
    client = Client(node, ANN)
    client.says("j1", "r1", "room:1", "phx_join")
    assert events(caplog) == [("limited", {"user_id": ANN, "limit": "joins"})]
    await node.stop()


async def test_sending_too_much_is_a_security_event(caplog: pytest.LogCaptureFixture) -> None:
    node = await start_node({"room:*": Room})
    client = Client(node, ANN)
    client.allowance.left = -1e12
    # So that nothing waits until the user may send again.
    client.gone = True
    await client.decongested()
    assert events(caplog) == [("limited", {"user_id": ANN, "limit": "traffic"})]
    await node.stop()
