"""Tests the channel of alerts without sockets and Postgres: who may join, and what a join answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.channels.alerts import Alerts
from gateway.runtime.endpoint import Endpoint
from shared.domain.alerts import AlertKind
from shared.events.alerts import alert_payload
from shared.postgres import DatabaseUnavailable
from shared.repositories.alerts import Alert, CaughtUpAlerts
from shared.repositories.shared_reads import SharedReads
from shared.settings import Settings
from tests.gateway.nodes import Client, broadcast, reply, start_node

ANN, BOB, NOBODY = 1, 2, 99


class Store:
    """Stands for Postgres, with users 1 and 2 and three alerts for Ann. It fails while `is_away`."""

    def __init__(self) -> None:
        self.alerts = [Alert(number, ANN, AlertKind.MATCH, f'{{"id":{number}}}') for number in (1, 2, 3)]
        self.is_away = False
        self.asked_for: list[tuple[int, int]] = []
        self.context = SimpleNamespace(
            settings=Settings(),
            admission=SimpleNamespace(is_registered=self.is_registered),
            alert_catch_ups=SharedReads(self.catch_ups, most=10),
            join_budget=None,
        )

    async def is_registered(self, user_id: int) -> bool:
        return user_id != NOBODY

    async def catch_ups(self, asked: Sequence[tuple[int, int]]) -> dict[tuple[int, int], CaughtUpAlerts]:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.asked_for += asked
        return {
            (user_id, after_id): CaughtUpAlerts(
                [one for one in self.alerts if one.user_id == user_id and one.id > after_id], True
            )
            for user_id, after_id in asked
        }


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def node(store: Store) -> AsyncIterator[Endpoint]:
    endpoint = await start_node({"alerts:*": Alerts}, context=store.context)
    yield endpoint
    await endpoint.stop()


def joins(client: Client, params: Any = None, topic: str = f"alerts:{ANN}") -> None:
    client.says("j1", "r1", topic, "phx_join", params)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (f"alerts:{BOB}", "unauthorized"),
        (f"alerts:{NOBODY}", "user not found"),
        ("alerts:x", "user not found"),
        ("alerts:", "user not found"),
        (f"alerts:0{ANN}", "user not found"),
    ],
)
async def test_a_user_can_join_only_their_own_topic(node: Endpoint, store: Store, topic: str, reason: str) -> None:
    client = Client(node, ANN)
    joins(client, {"after_id": 0}, topic)
    assert await client.gets(1) == [reply("r1", {"reason": reason}, "error", topic=topic)]
    assert store.asked_for == []


@pytest.mark.parametrize(("after_id", "ids"), [(0, [1, 2, 3]), ("0", [1, 2, 3]), (1, [2, 3]), ("2", [3]), (3, [])])
async def test_the_reply_to_a_join_contains_the_missed_alerts(
    node: Endpoint, store: Store, after_id: Any, ids: list[int]
) -> None:
    client = Client(node, ANN)
    joins(client, {"after_id": after_id})
    response = {"alerts": [{"id": number} for number in ids], "complete": True}
    assert await client.gets(1) == [reply("r1", response, topic=f"alerts:{ANN}")]
    assert store.asked_for == [(ANN, int(after_id))]


@pytest.mark.parametrize("params", [{}, [], None, 5, "x", {"after_id": None}])
async def test_a_join_without_after_id_gets_no_alerts(node: Endpoint, store: Store, params: Any) -> None:
    client = Client(node, ANN)
    joins(client, params)
    assert client.take() == [reply("r1", topic=f"alerts:{ANN}")]
    assert store.asked_for == []


@pytest.mark.parametrize("after_id", [False, True, -1, "", "x", [], {}, 2**63])
async def test_a_join_with_a_malformed_after_id_is_refused(node: Endpoint, after_id: Any) -> None:
    client = Client(node, ANN)
    joins(client, {"after_id": after_id})
    assert client.take() == [reply("r1", {"reason": "invalid after_id"}, "error", topic=f"alerts:{ANN}")]


async def test_a_join_while_postgres_is_away_may_be_tried_again(node: Endpoint, store: Store) -> None:
    store.is_away = True
    client = Client(node, ANN)
    joins(client, {"after_id": 0})
    assert await client.gets(1) == [reply("r1", {"reason": "try again"}, "error", topic=f"alerts:{ANN}")]


async def test_an_alert_reaches_all_devices_of_its_user_and_nobody_can_push_one(node: Endpoint) -> None:
    phone, laptop, other = Client(node, ANN), Client(node, ANN), Client(node, BOB)
    for client, user_id in ((phone, ANN), (laptop, ANN), (other, BOB)):
        await client.joins(f"alerts:{user_id}")
    node.broadcast(f"alerts:{ANN}", "match", alert_payload('{"id":4}'))
    told = broadcast("match", {"id": 4}, topic=f"alerts:{ANN}")
    assert (phone.take(), laptop.take(), other.take()) == ([told], [told], [])
    phone.says("j1", "r2", f"alerts:{ANN}", "match", {"id": 5})
    assert [one.event for one in await phone.gets(1)] == ["phx_error"]
    assert laptop.take() == []
