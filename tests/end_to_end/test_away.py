"""People are told by push while they are nowhere online: with real sockets on two nodes, and APIs that are killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from shared.access.push_key import new_push_key
from shared.settings import Settings
from tests.end_to_end.conftest import settings_on
from tests.support.client import Person, Rest, Socket
from tests.support.database import acquaint, query
from tests.support.processes import Node, Processes
from tests.support.push_service import PushService, running_push_service
from tests.support.servers import Servers
from tests.support.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

# A look that has to find somebody comes often; the time that has to pass between two looks is set back by the tests.
QUICK: dict[str, Any] = {
    "waiting_seconds": 0.05,
    "waiting_unseen_seconds": 0.05,
    "away_seconds": 0.2,
    "away_again_seconds": 0.1,
    "node_lease_seconds": 2.0,
    "push_private_endpoints": True,
}


@dataclass
class World:
    settings: Settings
    processes: Processes
    push: PushService
    api: Node
    gateways: tuple[Node, Node]
    rest: Rest

    async def person(self, name: str) -> Person:
        """Somebody with a browser that is told."""
        person = await self.rest.register(name)
        await self.rest.call("POST", "/api/me/push", 200, who=person, body=self.push.browser().body(shows_text=True))
        return person

    async def write(self, who: Person, to: Person, text: str) -> int:
        acquaint(self.settings.database_url, who.id, to.id)
        body = {"to": to.id, "message": text}
        return int((await self.rest.call("POST", "/api/messages", 201, who=who, body=body))["id"])

    def listing(self, seller: Person) -> int:
        [[category]] = self.rows("INSERT INTO categories (name) VALUES (gen_random_uuid()) RETURNING id")
        sql = """INSERT INTO listings (seller_id, category_id, title, content) VALUES (%s, %s, 'A car', 'It drives.')
                 RETURNING id"""
        return int(self.rows(sql, seller.id, category)[0][0])

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        return query(self.settings.database_url, sql, *parameters)


@pytest.fixture(scope="module")
def quick_settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with settings_on(servers, tmp_path_factory.mktemp("data")) as settings:
        yield replace(settings, vapid_private_key=new_push_key(), **QUICK)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(quick_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    processes = Processes(quick_settings, tmp_path_factory.mktemp("processes"))
    try:
        gateways = await processes.gateway(), await processes.gateway()
        api = await processes.api()
        async with running_push_service() as push, Rest(api.url) as rest:
            yield World(quick_settings, processes, push, api, gateways, rest)
    finally:
        await processes.stop()


@pytest.mark.parametrize("topic", ["private_chat", "alerts", "listing"])
async def test_whoever_has_a_socket_on_another_node_is_told_only_when_it_has_left(world: World, topic: str) -> None:
    ann, bob, carol = [await world.person(name) for name in ("Ann", "Bob", "Carol")]
    joined = world.listing(ann) if topic == "listing" else bob.id
    acquaint(world.settings.database_url, ann.id, bob.id)
    async with (
        await Socket.connect(world.gateways[0].socket_url, ann.token) as anns,
        await Socket.connect(world.gateways[1].socket_url, bob.token) as bobs,
    ):
        await anns.join(ann.topic)
        assert (await bobs.join(f"{topic}:{joined}"))["status"] == "ok"
        acquaint(world.settings.database_url, ann.id, bob.id)
        await anns.push(ann.topic, "send", {"to": str(bob.id), "message": "Bob?"})
        for number in range(2):
            # Whoever is away is told; what waits for Bob was looked at before.
            await world.write(ann, carol, f"Carol {number}")
            assert [news["body"] for news in await world.push.take()] == [f"Carol {number}"]
        [[away_since, due_at]] = world.rows(
            "SELECT away_since, due_at FROM waiting_news WHERE way = 'push' AND user_id = %s", bob.id
        )
        assert away_since is None
        assert due_at is not None
    assert [news["body"] for news in await world.push.take()] == ["Bob?"]


async def test_whoever_reads_on_another_node_is_not_told(world: World) -> None:
    ann, bob, carol = [await world.person(name) for name in ("Ann", "Bob", "Carol")]
    async with await Socket.connect(world.gateways[1].socket_url, bob.token) as bobs:
        await bobs.join(bob.topic)
        sent = await world.write(ann, bob, "Read me")
        await until(
            lambda: bool(world.rows("SELECT 1 FROM waiting_news WHERE way = 'push' AND user_id = %s", bob.id)), 30.0
        )
        await bobs.push(bob.topic, "read", {"with": str(ann.id), "up_to": sent})
    await until(
        lambda: (
            not world.rows(
                "SELECT 1 FROM waiting_news WHERE way = 'push' AND user_id = %s AND due_at IS NOT NULL", bob.id
            )
        ),
        30,
    )
    await world.write(ann, carol, "Carol")
    assert [news["body"] for news in await world.push.take()] == ["Carol"]


async def test_an_api_that_is_killed_between_two_looks_leaves_the_rest_to_another(world: World) -> None:
    ann, bob = await world.person("Ann"), await world.person("Bob")
    world.api.kill()
    # Nobody looks again for an hour, except at what this test sets back.
    slow = await world.processes.api(AWAY_SECONDS="3600")
    acquaint(world.settings.database_url, ann.id, bob.id)
    async with Rest(slow.url) as rest:
        await rest.call("POST", "/api/messages", 201, who=ann, body={"to": bob.id, "message": "Hello"})
    await until(
        lambda: bool(world.rows("SELECT 1 FROM waiting_news WHERE way = 'push' AND away_since IS NOT NULL")), 30.0
    )
    slow.kill()
    world.api = await world.processes.again(world.api)
    world.rows("UPDATE waiting_news SET due_at = now() WHERE way = 'push' AND due_at IS NOT NULL RETURNING 1")
    assert [news["body"] for news in await world.push.take()] == ["Hello"]


async def test_a_mail_is_written_once_although_an_api_is_killed_between_two_looks(world: World) -> None:
    ann, bob = await world.person("Ann"), await world.person("Bob")
    world.api.kill()
    slow = await world.processes.api(AWAY_SECONDS="3600")
    acquaint(world.settings.database_url, ann.id, bob.id)
    async with Rest(slow.url) as rest:
        await rest.call("POST", "/api/messages", 201, who=ann, body={"to": bob.id, "message": "Hello"})
    mine = f"way = 'mail' AND user_id = {bob.id}"
    await until(lambda: bool(world.rows(f"SELECT 1 FROM waiting_news WHERE {mine}")), 30.0)
    world.rows("UPDATE messages SET inserted_at = inserted_at - interval '1 hour' WHERE to_id = %s", bob.id)
    world.rows(f"UPDATE waiting_news SET due_at = now() WHERE {mine}")
    await until(lambda: bool(world.rows(f"SELECT 1 FROM waiting_news WHERE {mine} AND away_since IS NOT NULL")), 30.0)
    slow.kill()
    world.api = await world.processes.again(world.api)
    world.rows("UPDATE waiting_news SET due_at = now() WHERE user_id = %s AND due_at IS NOT NULL", bob.id)
    # Development writes mails into files.
    folder, name = world.settings.data_directory / "mail", "*-message-*.eml"
    await until(lambda: any(bob.email in file.read_text() for file in folder.glob(name)), 30.0)
    assert [news["body"] for news in await world.push.take()] == ["Hello"]
    # Nothing more is due, and another message tells nothing more by mail.
    sent = await world.write(ann, bob, "Hello?")
    await world.push.take()
    looked = f"SELECT 1 FROM waiting_news WHERE {mine} AND newest_id = {sent} AND due_at IS NULL"
    world.rows(f"UPDATE waiting_news SET due_at = now() WHERE {mine} AND due_at IS NOT NULL")
    await until(lambda: bool(world.rows(looked)), 30.0)
    assert sum(bob.email in file.read_text() for file in folder.glob(name)) == 1
    assert world.rows("SELECT 1 FROM outbox WHERE kind = 'message' AND user_id = %s", bob.id) == []


async def test_a_push_message_whose_api_is_killed_while_it_is_sent_is_sent_by_another(world: World) -> None:
    ann, bob = await world.person("Ann"), await world.person("Bob")
    world.push.hangs = asyncio.Event()
    await world.write(ann, bob, "Hello")
    await until(lambda: world.push.hanging == 1, 30.0)
    world.api.kill()
    world.push.hangs.set()
    first = await world.push.take()
    world.api = await world.processes.again(world.api)
    # Its lease is over.
    assert world.rows("UPDATE pushes SET due_at = now() RETURNING attempts") == [(1,)]
    assert await world.push.take() == first
    await until(lambda: not world.rows("SELECT 1 FROM pushes"), 30.0)
