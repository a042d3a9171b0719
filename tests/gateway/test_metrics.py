"""Tests the metrics of a gateway node and its health checks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client.parser import text_string_to_metric_families

from gateway.catch_up import CatchUp
from gateway.channel import Channel, Error, HandleResult, JoinResult, Ok
from gateway.metrics import gateway_metrics
from gateway.missed import MissedMessages
from gateway.protocol.close_codes import CLOSES
from gateway.runtime.counts import TIMED_EVERY
from gateway.runtime.endpoint import Endpoint
from shared.domain.messages import Message, MessageRefused
from shared.health import Health
from shared.metrics import Metrics
from shared.postgres import Database
from shared.repositories.message_writer import MessageWriter
from shared.settings import Settings
from shared.version import VERSION
from tests.gateway.nodes import Client, start_node
from tests.support.waiting import PATIENCE_SECONDS, until

SETTINGS = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/nothing", database_timeout_seconds=0.2, idle_seconds=0.4
)


class Room(Channel):
    """Waits for its gate at the event `wait`, broadcasts the event `shout`, and crashes at all other events."""

    gate: asyncio.Event

    async def join(self, topic: str, params: Any) -> JoinResult:
        if topic == "room:full":
            return Error({"reason": "full"})
        if topic == "room:broken":
            raise RuntimeError("broken")
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if event == "wait":
            await self.gate.wait()
        elif event == "shout":
            self.broadcast("shout", payload)
        else:
            if event == "made up, later":
                await asyncio.sleep(0)
            return await super().handle_in(event, payload)
        return Ok()


class NoMessages:
    """Stands for the messages in Postgres: there are none."""

    stored = 0

    async def last_id_before(self, seconds: float) -> int:
        return 0

    async def of_users_after(self, user_ids: object, after_id: int, limit: int) -> list[Message]:
        return []

    async def insert_many(self, batch: object) -> list[Message | MessageRefused]:
        return []


@pytest.fixture
async def node() -> AsyncIterator[Endpoint]:
    Room.gate = asyncio.Event()
    endpoint = await start_node({"room:*": Room}, settings=SETTINGS)
    yield endpoint
    await endpoint.stop()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = Database(SETTINGS)
    yield opened
    await opened.close()


@pytest.fixture
async def metrics(node: Endpoint, database: Database) -> AsyncIterator[Metrics]:
    catch_up = CatchUp(node, MissedMessages(NoMessages()))
    yield gateway_metrics(node, database, MessageWriter(NoMessages(), max_batch=1, max_waiting=1), catch_up)
    await catch_up.stop()


def samples(metrics: Metrics) -> dict[str, float]:
    """The value of each sample, by its name without `gateway_`, followed by the values of its labels."""
    return {
        " ".join((sample.name.removeprefix("gateway_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


async def test_connections_users_channels_and_topics_are_counted(node: Endpoint, metrics: Metrics) -> None:
    clients = [Client(node, user_id) for user_id in (1, 1, 2)]
    await clients[0].joins("room:1")
    await clients[0].joins("room:2", join_ref="j2")
    await clients[1].joins("room:1")
    seen = samples(metrics)
    names = ("connections", "users", "channels", "topics", "disconnects_total")
    assert [seen[name] for name in names] == [3, 2, 3, 2, 0]
    clients[0].says("j1", "r1", "room:1", "phx_leave")
    clients[1].dropped()
    seen = samples(metrics)
    assert [seen[name] for name in names] == [2, 2, 1, 1, 1]


async def test_broadcasts_catch_ups_and_crashes_are_counted(node: Endpoint, metrics: Metrics) -> None:
    client = Client(node)
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "shout", 1)
    client.says("j1", "r2", "room:1", "no such event")
    node.link_restored(1.0)
    await until(lambda: samples(metrics)["catch_ups_total"] > 0)
    seen = samples(metrics)
    assert [seen[f"{name}_total"] for name in ("broadcasts", "received", "catch_ups")] == [1, 0, 1]
    assert (seen["channel_crashes_total client Room"], seen["channel_crashes_total program Room"]) == (1, 0)


async def test_joins_are_timed_by_channel_and_result(node: Endpoint, metrics: Metrics) -> None:
    await Client(node).joins("room:1")
    await Client(node).joins("room:2")
    crowded = Client(node)
    crowded.says("j1", "r1", "room:full", "phx_join", {})
    await crowded.gets(1)
    broken = Client(node)
    broken.says("j1", "r1", "room:broken", "phx_join", {})
    await broken.gets(1)
    seen = samples(metrics)
    assert (seen["join_seconds_count Room ok"], seen["join_seconds_count Room error"]) == (2, 2)
    assert 0 < seen["join_seconds_sum Room ok"] < PATIENCE_SECONDS


async def test_pushes_of_two_events_in_turns_are_both_timed_also_if_one_is_answered_at_once(
    node: Endpoint, metrics: Metrics
) -> None:
    client = Client(node)
    await client.joins("room:1")
    for number in range(2 * TIMED_EVERY):
        client.says("j1", number, "room:1", "shout", 1)
        await client.gets(2)
        client.says("j1", number, "room:1", "wait")
        Room.gate.set()
        await client.gets(1)
        Room.gate.clear()
    seen = samples(metrics)
    assert {name: value for name, value in seen.items() if name.startswith("handle_in_seconds_count")} == {
        "handle_in_seconds_count Room shout": 2,
        "handle_in_seconds_count Room wait": 2,
    }
    assert 0 < seen["handle_in_seconds_sum Room wait"] < PATIENCE_SECONDS


@pytest.mark.parametrize("event", ["made up", "made up, later", "\u202e", "e" * 1000, ["made up"], None, 7])
async def test_events_that_the_channel_does_not_know_have_one_label(
    node: Endpoint, metrics: Metrics, event: Any
) -> None:
    for number in range(TIMED_EVERY):
        client = Client(node)
        await client.joins("room:1")
        client.says("j1", number, "room:1", f"{event}{number}" if type(event) is str else event)
        await client.gets(1)
    counted = [name for name in samples(metrics) if name.startswith("handle_in_seconds_count")]
    assert counted == ["handle_in_seconds_count Room other"]


async def test_a_channel_that_takes_any_event_makes_no_series_of_long_or_odd_ones(
    node: Endpoint, metrics: Metrics
) -> None:
    async def handled() -> str:
        return "handled"

    for event in ("e" * 65, "\ud800", "\u202e", ["list"], None):
        assert await node.counts.timed("Room", event, handled()) == "handled"
    assert samples(metrics)["handle_in_seconds_count Room other"] == 5


async def test_a_crash_of_the_program_is_told_apart_from_one_that_a_client_causes(
    node: Endpoint, metrics: Metrics
) -> None:
    assert samples(metrics)["channel_crashes_total program Room"] == 0
    client = Client(node)
    client.says("j1", "r1", "room:broken", "phx_join", {})
    await client.gets(1)
    seen = samples(metrics)
    assert (seen["channel_crashes_total client Room"], seen["channel_crashes_total program Room"]) == (0, 1)


async def test_metrics_name_the_process(node: Endpoint, metrics: Metrics) -> None:
    assert samples(metrics)[f"daveslist_process_info {node.node_id} gateway {VERSION}"] == 1


async def test_closes_are_counted_by_reason_from_the_start(node: Endpoint, metrics: Metrics) -> None:
    assert {f"closes_total {close.reason}" for close in CLOSES} <= samples(metrics).keys()
    clients = [Client(node, user_id) for user_id in range(1, len(CLOSES) + 1)]
    for client, close in zip(clients, CLOSES, strict=True):
        client.close(close)
        client.close(close)
    seen = samples(metrics)
    assert [seen[f"closes_total {close.reason}"] for close in CLOSES] == [1] * len(CLOSES)
    assert len({close.reason for close in CLOSES}) == len(CLOSES)


async def test_messages_that_wait_for_a_busy_channel_are_in_the_backlog(node: Endpoint, metrics: Metrics) -> None:
    client = Client(node)
    await client.joins("room:1")
    for number in range(4):
        client.says("j1", number, "room:1", "wait")
    await until(lambda: samples(metrics)["backlog"] == 3)
    Room.gate.set()
    await client.gets(4)


async def test_a_metric_says_whether_the_node_is_draining(node: Endpoint, metrics: Metrics) -> None:
    assert samples(metrics)["draining"] == 0
    await node.drain()
    assert samples(metrics)["draining"] == 1


async def test_a_draining_node_without_postgres_is_alive_but_not_ready(node: Endpoint, database: Database) -> None:
    health, request = (
        Health(database, node.broker, lambda: node.is_draining),
        make_mocked_request("GET", "/health/ready"),
    )
    assert (await health.live(request)).status == 200
    await node.drain()
    answer = await health.ready(request)
    assert answer.status == 503
    assert isinstance(answer.body, bytes)
    reasons = json.loads(answer.body)["reasons"]
    assert set(reasons) == {"postgres", "process"}
    assert (await health.live(request)).status == 200
