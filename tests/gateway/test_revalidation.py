"""After a gap between the nodes everybody who is connected is asked about, in as few statements as may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.channel import Channel, InfoResult, JoinResult, Ok, Stop
from gateway.protocol.close_codes import NO_LONGER_WELCOME
from gateway.revalidation import Revalidation
from gateway.runtime.endpoint import Endpoint
from shared.access.admission import MOST_SHARED, Admission
from shared.access.tokens import Tokens
from shared.domain.users import Role, Standing
from shared.postgres import DatabaseUnavailable
from tests.gateway.counted import counted
from tests.gateway.nodes import SOON, Client, actor, closed, start_node

SECRET = "a-secret-of-the-tests-a-secret-of-the-tests"


class People:
    """What Postgres would say. It counts what it is asked, and is away as often as it is told."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, str], Standing] = {}
        self.asked: list[int] = []
        self.away = 0

    def are(self, user_id: int, session_id: str, *, banned: bool = False, out: bool = False) -> None:
        self.known[user_id, session_id] = Standing("A name", Role.USER, banned, out)

    async def standings(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Standing]:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable("away")
        self.asked.append(len(pairs))
        return {pair: self.known[pair] for pair in pairs if pair in self.known}


class Moderated(Channel):
    """For moderators alone."""

    watches_access = True

    async def join(self, topic: str, params: object) -> JoinResult:
        return Ok()

    @classmethod
    async def look(cls, topic: str, context: object) -> Role:
        return Role.MODERATOR

    def judge(self, found: Role) -> InfoResult:
        return None if self.actor.role is found else Stop()


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
async def node() -> AsyncIterator[Endpoint]:
    endpoint = await start_node({"room:*": Moderated})
    yield endpoint
    await endpoint.stop()


@pytest.fixture
async def revalidation(node: Endpoint, people: People) -> AsyncIterator[Revalidation]:
    watching = Revalidation(node, Admission(Tokens(SECRET, 3600), people))
    yield watching
    await watching.stop()


def connected(node: Endpoint, people: People, user_id: int, session_id: str = "s", role: Role = Role.USER) -> Client:
    people.known.setdefault((user_id, session_id), Standing("A name", Role.USER, False, False))
    return Client(node, actor(user_id, session_id, role))


async def done(people: People, statements: int) -> None:
    async with asyncio.timeout(SOON):
        while len(people.asked) < statements:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.001)
    # What it said has reached everybody when the loop has come round.
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("revalidation")
async def test_whoever_is_no_longer_welcome_is_closed_and_nobody_else(node: Endpoint, people: People) -> None:
    banned, out, gone, welcome = [connected(node, people, user_id) for user_id in (1, 2, 3, 4)]
    other_session = connected(node, people, 2, "another")
    people.are(1, "s", banned=True)
    people.are(2, "s", out=True)
    del people.known[3, "s"]
    node.link_restored(1.0)
    await done(people, 1)
    assert [client.close_code for client in (banned, out, gone, welcome, other_session)] == [1001] * 3 + [None] * 2
    assert counted(node.counts.closes) == {NO_LONGER_WELCOME.reason: 3}
    assert people.asked == [5]


@pytest.mark.usefixtures("revalidation")
async def test_a_role_that_changed_meanwhile_ends_what_it_does_not_allow(node: Endpoint, people: People) -> None:
    former = connected(node, people, 1, role=Role.MODERATOR)
    await former.joins("room:1")
    node.link_restored(1.0)
    assert await former.gets(1) == [closed()]
    assert (former.actor.role, former.close_code) == (Role.USER, None)


@pytest.mark.usefixtures("revalidation")
async def test_a_crowd_is_asked_about_in_batches(node: Endpoint, people: People) -> None:
    clients = [connected(node, people, user_id) for user_id in range(2 * MOST_SHARED + 1)]
    people.are(MOST_SHARED, "s", banned=True)
    node.link_restored(1.0)
    await done(people, 3)
    assert people.asked == [MOST_SHARED, MOST_SHARED, 1]
    assert [client.actor.user_id for client in clients if client.close_code is not None] == [MOST_SHARED]


@pytest.mark.usefixtures("revalidation")
async def test_gaps_that_meet_are_one_and_one_that_comes_later_is_another(node: Endpoint, people: People) -> None:
    connected(node, people, 1)
    node.link_restored(1.0)
    node.link_restored(2.0)
    await done(people, 1)
    assert people.asked == [1]
    node.link_restored(1.0)
    await done(people, 2)
    assert people.asked == [1, 1]


async def test_a_database_that_is_away_is_asked_again(
    node: Endpoint, people: People, revalidation: Revalidation
) -> None:
    client = connected(node, people, 1)
    people.are(1, "s", banned=True)
    people.away = 1
    revalidation.gap(1.0)
    await done(people, 1)
    assert client.close_code == 1001


async def test_it_can_be_stopped_in_the_middle(node: Endpoint, people: People, revalidation: Revalidation) -> None:
    client = connected(node, people, 1)
    people.are(1, "s", banned=True)
    people.away = 1
    revalidation.gap(1.0)
    await asyncio.sleep(0.01)
    await revalidation.stop()
    assert (client.close_code, people.asked) == (None, [])
