"""Tests the channel of admins: who may join, and what gateways report while somebody looks, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.channel import Channel, JoinResult, Ok
from gateway.channels.system import System
from gateway.protocol.close_codes import Close
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.refusals import REFUSALS
from gateway.system_reports import SystemReports
from shared.access.actor import Actor
from shared.access.admission import Banned
from shared.domain.nodes import Node
from shared.domain.users import Role
from shared.postgres import DatabaseUnavailable
from shared.pubsub.memory import MemoryHub
from tests.gateway.nodes import Client, actor, closed, reply, start_node, wait_for_looks
from tests.support.waiting import until

ROOT, MONA, EVE = 1, 2, 3
ROLES = {ROOT: Role.ADMIN, MONA: Role.MODERATOR, EVE: Role.USER}
TOPIC = "system"
NODES = [
    Node("api-1", "api", "1.0.0", 1000.0, is_alive=True, is_heard=True),
    Node("old", "gateway", None, None, is_alive=False, is_heard=False),
]


class Room(Channel):
    async def join(self, topic: str, params: Any) -> JoinResult:
        return Ok()


class Deployment:
    """Stands for Postgres, which knows the roles and the processes."""

    def __init__(self) -> None:
        self.roles = dict(ROLES)
        self.is_away = False
        self.asked = 0

    async def readmit(self, known: Actor) -> Actor:
        if self.is_away:
            raise DatabaseUnavailable("away")
        if known.user_id not in self.roles:
            raise Banned
        return known.with_role(self.roles[known.user_id])

    async def listed(self, *, lease_seconds: float) -> list[Node]:
        self.asked += 1
        if self.is_away:
            raise DatabaseUnavailable("away")
        return NODES


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
async def nodes(deployment: Deployment) -> AsyncIterator[list[Endpoint]]:
    """Two gateways over one broker."""
    hub, started, reports = MemoryHub(), [], []
    for _ in range(2):
        own = SystemReports(deployment)  # type: ignore[arg-type]
        context = SimpleNamespace(admission=deployment, join_budget=None, system=own)
        started.append(await start_node({TOPIC: System, "room:*": Room}, hub, context=context))
        own.serve(started[-1])
        reports.append(own)
    yield started
    for own in reports:
        await own.stop()
    for endpoint in started:
        await endpoint.stop()


def admin(node: Endpoint, user_id: int = ROOT) -> Client:
    return Client(node, actor(user_id, role=ROLES[user_id]))


async def refusal(client: Client) -> Any:
    client.says("j1", "1", TOPIC, "phx_join")
    [answer] = await client.gets(1)
    assert answer.payload["status"] == "error"
    return answer.payload["response"]["reason"]


async def test_admins_alone_join_and_only_while_postgres_says_so(nodes: list[Endpoint], deployment: Deployment) -> None:
    for user_id in (MONA, EVE):
        client = admin(nodes[0], user_id)
        assert await refusal(client) == "unauthorized"
    deployment.is_away = True
    assert await refusal(admin(nodes[0])) == "try again"
    deployment.is_away, deployment.roles = False, {ROOT: Role.USER}
    assert await refusal(admin(nodes[0])) == "unauthorized"


async def test_who_is_an_admin_no_longer_is_taken_out(nodes: list[Endpoint]) -> None:
    client = admin(nodes[0])
    await client.joins(TOPIC)
    nodes[0].connections.role_changed(ROOT, Role.MODERATOR)
    await wait_for_looks(client)
    assert closed(topic=TOPIC) in client.take()
    await until(lambda: not nodes[0].topics.members(TOPIC))


async def test_an_admin_is_told_of_all_processes_and_of_what_each_gateway_has_to_do(
    nodes: list[Endpoint], deployment: Deployment
) -> None:
    visitors = [Client(nodes[1], user) for user in (7, 7, 8)]
    for client in visitors:
        await client.joins("room:1")
    await visitors[0].joins("room:2")
    visitors[2].outbox_bytes = 5000
    nodes[1].counts.refused.labels(REFUSALS[0]).inc(3)
    client = admin(nodes[0])
    await client.joins(TOPIC)
    received = await client.until("nodes")
    while len({one.payload["node"] for one in received if one.event == "gateway"}) < 2:
        received += await client.gets(1)
    listed = next(one.payload for one in received if one.event == "nodes")
    assert listed["nodes"][0] == {
        "id": "api-1",
        "kind": "api",
        "version": "1.0.0",
        "started_at": 1000.0,
        "alive": True,
        "heard": True,
    }
    assert (listed["nodes"][1]["version"], listed["nodes"][1]["alive"]) == (None, False)
    reports = {one.payload["node"]: one.payload for one in received if one.event == "gateway"}
    report = reports[nodes[1].node_id]
    assert (report["connections"], report["users"], report["channels"], report["longpolls"]) == (3, 2, 4, 0)
    assert report["topics"] == [{"topic": "room:1", "members": 3}, {"topic": "room:2", "members": 1}]
    assert report["slow"] == [{"user_id": 8, "bytes": 5000}]
    assert report["refused"] == {REFUSALS[0]: 3}
    assert reports[nodes[0].node_id]["topics"] == [{"topic": TOPIC, "members": 1}]
    assert deployment.asked == 1


async def test_the_asking_ends_with_the_last_who_looks_and_begins_again_with_the_next(
    nodes: list[Endpoint], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.system_reports.EVERY_SECONDS", 0.01)
    first, second = admin(nodes[0]), admin(nodes[0])
    await first.joins(TOPIC)
    await second.joins(TOPIC)
    await until(lambda: deployment.asked > 3)
    for client in (first, second):
        client.close(Close(1000, "done"))
    await until(lambda: not nodes[0].topics.members(TOPIC))
    reports: SystemReports = nodes[0].context.system
    await until(lambda: reports._task is not None and reports._task.done())
    asked = deployment.asked
    again = admin(nodes[0])
    await again.joins(TOPIC)
    await until(lambda: deployment.asked > asked)


async def test_while_nobody_looks_no_gateway_gathers_or_sends_anything(
    nodes: list[Endpoint], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered: list[Endpoint] = []

    def of_node(node: Endpoint) -> dict[str, Any]:
        gathered.append(node)
        return {}

    monkeypatch.setattr("gateway.system_reports.of_node", of_node)
    visitor = Client(nodes[1], 7)
    await visitor.joins("room:1")
    before = [node.counts.broadcasts for node in nodes]
    visitor.says("j1", "2", "room:1", "nothing")
    await visitor.until("phx_error")
    assert ([node.counts.broadcasts for node in nodes], deployment.asked, gathered) == (before, 0, [])


async def test_a_gateway_reports_once_a_second_however_many_ask(nodes: list[Endpoint]) -> None:
    watching = [admin(node) for node in nodes]
    for client in watching:
        await client.joins(TOPIC)
    received = await watching[0].until("nodes")
    own = [one for one in received if one.event == "gateway" and one.payload["node"] == nodes[0].node_id]
    assert len(own) == 1


async def test_an_admin_sees_where_a_person_is_connected(nodes: list[Endpoint]) -> None:
    phone, desk = Client(nodes[0], actor(7, "phone")), Client(nodes[1], actor(7, "desk"))
    await phone.joins("room:1")
    await desk.joins("room:2")
    client = admin(nodes[0])
    await client.joins(TOPIC)
    client.says("j1", "1", TOPIC, "devices", {"user_id": 7})
    received: list[Any] = []
    while len([one for one in received if one.event == "devices"]) < 2:
        received += await client.gets(1)
    found = {one.payload["node"]: one.payload for one in received if one.event == "devices"}
    assert found == {
        node.node_id: {
            "node": node.node_id,
            "user_id": 7,
            "devices": [{"session_id": session_id, "transport": "", "topics": [topic], "bytes": 0}],
        }
        for node, session_id, topic in ((nodes[0], "phone", "room:1"), (nodes[1], "desk", "room:2"))
    }


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"user_id": 0}, {"user_id": "x"}, {"user_id": 2**70}, {"user_id": None}]
)
async def test_a_user_who_cannot_be_is_refused(nodes: list[Endpoint], payload: Any) -> None:
    client = admin(nodes[0])
    await client.joins(TOPIC)
    client.take()
    client.says("j1", "1", TOPIC, "devices", payload)
    assert reply("1", {"reason": "invalid user"}, "error", TOPIC) in client.take()
