"""What Prometheus reads of a node is what happened on it, and its health is what it says."""

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
from gateway.protocol.close_codes import CLOSES
from gateway.runtime.counts import TIMED_EVERY
from gateway.runtime.endpoint import Endpoint
from shared.domain.messages import Message, MessageRefused
from shared.health import Health
from shared.metrics import Metrics
from shared.postgres import Database
from shared.repositories.message_writer import MessageWriter
from shared.settings import Settings
from tests.gateway.nodes import SOON, Client, start_node

NOBODY = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/nothing", database_timeout_seconds=0.2, idle_seconds=0.4
)


class Room(Channel):
    """Waits at the event `wait` until its gate is open, and raises at all others but `shout`."""

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


class Nothing:
    """Messages of which there are none."""

    async def last_id_before(self, seconds: float) -> int:
        return 0

    async def of_users_after(self, user_ids: object, after_id: int, limit: int) -> list[Message]:
        return []

    async def insert_many(self, batch: object) -> list[Message | MessageRefused]:
        return []


@pytest.fixture
async def node() -> AsyncIterator[Endpoint]:
    Room.gate = asyncio.Event()
    endpoint = await start_node({"room:*": Room}, settings=NOBODY)
    yield endpoint
    await endpoint.stop()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = Database(NOBODY)
    yield opened
    await opened.close()


@pytest.fixture
async def metrics(node: Endpoint, database: Database) -> AsyncIterator[Metrics]:
    catch_up = CatchUp(node, Nothing())
    yield gateway_metrics(node, database, MessageWriter(Nothing(), max_batch=1, max_waiting=1), catch_up)
    await catch_up.stop()


def samples(metrics: Metrics) -> dict[str, float]:
    """By name, and the values of labels where there are any."""
    return {
        " ".join((sample.name.removeprefix("gateway_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


async def test_who_is_here_is_counted(node: Endpoint, metrics: Metrics) -> None:
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


async def test_what_happens_is_counted(node: Endpoint, metrics: Metrics) -> None:
    client = Client(node)
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "shout", 1)
    client.says("j1", "r2", "room:1", "no such event")
    node.link_restored(1.0)
    async with asyncio.timeout(SOON):
        while not samples(metrics)["catch_ups_total"]:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.001)
    seen = samples(metrics)
    assert [seen[f"{name}_total"] for name in ("broadcasts", "received", "catch_ups")] == [1, 0, 1]
    assert seen["channel_crashes_total Room"] == 1


async def test_joins_are_timed_by_channel_and_by_what_came_of_them(node: Endpoint, metrics: Metrics) -> None:
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
    assert 0 < seen["join_seconds_sum Room ok"] < SOON


async def test_some_pushes_whose_channel_waits_are_timed_by_their_event(node: Endpoint, metrics: Metrics) -> None:
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
    assert [name for name in seen if name.startswith("handle_in_seconds_count")] == [
        "handle_in_seconds_count Room wait"
    ]
    assert seen["handle_in_seconds_count Room wait"] == 2
    assert 0 < seen["handle_in_seconds_sum Room wait"] < SOON


async def test_an_event_that_a_client_makes_up_is_no_series(node: Endpoint, metrics: Metrics) -> None:
    for number in range(TIMED_EVERY):
        client = Client(node)
        await client.joins("room:1")
        client.says("j1", number, "room:1", "made up, later")
        await client.gets(1)
    assert not [name for name in samples(metrics) if "made up" in name]


async def test_a_gateway_says_which_process_it_is(node: Endpoint, metrics: Metrics) -> None:
    assert samples(metrics)[f"daveslist_process_info {node.node_id} gateway"] == 1


async def test_each_reason_to_close_is_counted_by_itself_from_the_first_moment_on(
    node: Endpoint, metrics: Metrics
) -> None:
    assert {f"closes_total {close.reason}" for close in CLOSES} <= samples(metrics).keys()
    clients = [Client(node, user_id) for user_id in range(1, len(CLOSES) + 1)]
    for client, close in zip(clients, CLOSES, strict=True):
        client.close(close)
        client.close(close)
    seen = samples(metrics)
    assert [seen[f"closes_total {close.reason}"] for close in CLOSES] == [1] * len(CLOSES)
    assert len({close.reason for close in CLOSES}) == len(CLOSES)


async def test_what_waits_for_a_busy_channel_is_seen_within_a_round(node: Endpoint, metrics: Metrics) -> None:
    client = Client(node)
    await client.joins("room:1")
    for number in range(4):
        client.says("j1", number, "room:1", "wait")
    async with asyncio.timeout(SOON):
        while samples(metrics)["backlog"] != 3:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.01)
    Room.gate.set()
    await client.gets(4)


async def test_a_node_that_drains_says_so(node: Endpoint, metrics: Metrics) -> None:
    assert samples(metrics)["draining"] == 0
    await node.drain()
    assert samples(metrics)["draining"] == 1


async def test_a_node_is_alive_but_not_ready_without_its_servers_or_on_its_way_out(
    node: Endpoint, database: Database
) -> None:
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
