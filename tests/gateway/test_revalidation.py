"""After a gap, a node looks up every connected user again, many in one statement."""

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
from tests.gateway.nodes import Client, actor, closed, start_node
from tests.support.secret import JWT_SECRET
from tests.support.waiting import until


class People:
    """Stands for Postgres: records how many sessions each statement asks for, and fails the next `away` times."""

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
    """Only moderators may stay."""

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
    watching = Revalidation(node, Admission(Tokens(JWT_SECRET, 3600), people))
    yield watching
    await watching.stop()


def connected(node: Endpoint, people: People, user_id: int, session_id: str = "s", role: Role = Role.USER) -> Client:
    people.known.setdefault((user_id, session_id), Standing("A name", Role.USER, False, False))
    return Client(node, actor(user_id, session_id, role))


async def wait_for_statements(people: People, statements: int) -> None:
    await until(lambda: len(people.asked) >= statements)
    # The answers reach the connections in the next turns of the loop.
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("revalidation")
async def test_banned_and_logged_out_users_are_closed_and_others_are_not(node: Endpoint, people: People) -> None:
    banned, out, gone, welcome = [connected(node, people, user_id) for user_id in (1, 2, 3, 4)]
    other_session = connected(node, people, 2, "another")
    people.are(1, "s", banned=True)
    people.are(2, "s", out=True)
    del people.known[3, "s"]
    node.link_restored(1.0)
    await wait_for_statements(people, 1)
    assert [client.close_code for client in (banned, out, gone, welcome, other_session)] == [1001] * 3 + [None] * 2
    assert counted(node.counts.closes) == {NO_LONGER_WELCOME.reason: 3}
    assert people.asked == [5]


@pytest.mark.usefixtures("revalidation")
async def test_a_user_who_lost_a_role_loses_the_channels_that_need_it(node: Endpoint, people: People) -> None:
    former = connected(node, people, 1, role=Role.MODERATOR)
    await former.joins("room:1")
    node.link_restored(1.0)
    assert await former.gets(1) == [closed()]
    assert (former.actor.role, former.close_code) == (Role.USER, None)


@pytest.mark.usefixtures("revalidation")
async def test_many_users_are_looked_up_in_batches(node: Endpoint, people: People) -> None:
    clients = [connected(node, people, user_id) for user_id in range(2 * MOST_SHARED + 1)]
    people.are(MOST_SHARED, "s", banned=True)
    node.link_restored(1.0)
    await wait_for_statements(people, 3)
    assert people.asked == [MOST_SHARED, MOST_SHARED, 1]
    assert [client.actor.user_id for client in clients if client.close_code is not None] == [MOST_SHARED]


@pytest.mark.usefixtures("revalidation")
async def test_waiting_gaps_share_a_look_up_and_a_later_gap_needs_another(node: Endpoint, people: People) -> None:
    connected(node, people, 1)
    node.link_restored(1.0)
    node.link_restored(2.0)
    await wait_for_statements(people, 1)
    assert people.asked == [1]
    node.link_restored(1.0)
    await wait_for_statements(people, 2)
    assert people.asked == [1, 1]


async def test_the_look_up_is_repeated_when_the_database_was_away(
    node: Endpoint, people: People, revalidation: Revalidation
) -> None:
    client = connected(node, people, 1)
    people.are(1, "s", banned=True)
    people.away = 1
    revalidation.gap(1.0)
    await wait_for_statements(people, 1)
    assert client.close_code == 1001


async def test_revalidation_can_be_stopped_between_two_tries(
    node: Endpoint, people: People, revalidation: Revalidation
) -> None:
    client = connected(node, people, 1)
    people.are(1, "s", banned=True)
    people.away = 1
    revalidation.gap(1.0)
    await asyncio.sleep(0.01)
    await revalidation.stop()
    assert (client.close_code, people.asked) == (None, [])
