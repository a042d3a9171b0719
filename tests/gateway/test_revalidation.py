"""After a gap, a node looks up every connected user again, many in one statement.

After a message about a user, it looks up only that user.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.channel import Channel, InfoResult, JoinResult, Ok, Stop
from gateway.protocol.close_codes import BANNED, NO_LONGER_WELCOME
from gateway.revalidation import Revalidation
from gateway.runtime.endpoint import Endpoint
from shared.access.admission import MOST_SHARED, Admission
from shared.access.seal import Seal
from shared.access.tokens import Tokens
from shared.domain.users import Role, Standing
from shared.events import control
from shared.events.envelope import SEALED_FOR, Envelope, json_payload, pack
from shared.postgres import DatabaseUnavailable
from tests.gateway.counted import counted
from tests.gateway.nodes import Client, actor, broadcast, closed, start_node, wait_for_looks
from tests.support.secret import JWT_SECRET
from tests.support.waiting import until


class People:
    """Stands for Postgres: records how many sessions each statement asks for, and fails the next `away` times."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, str], Standing] = {}
        self.asked: list[int] = []
        self.away = 0
        self.is_open = asyncio.Event()
        self.is_open.set()

    def are(
        self, user_id: int, session_id: str, *, banned: bool = False, out: bool = False, role: Role = Role.USER
    ) -> None:
        self.known[user_id, session_id] = Standing("A name", role, banned, out)

    async def standings(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Standing]:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable("away")
        self.asked.append(len(pairs))
        await self.is_open.wait()
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
    watching = Revalidation(node, Admission(Tokens((JWT_SECRET,), 3600), people))
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
    assert counted(node.counts.closes) == {BANNED.reason: 1, NO_LONGER_WELCOME.reason: 2}
    assert people.asked == [5]


@pytest.mark.usefixtures("revalidation")
async def test_a_user_who_is_warned_is_known_as_such_until_the_warning_is_read(node: Endpoint, people: People) -> None:
    ann, bob = connected(node, people, 1), connected(node, people, 2)
    for statements, has_warning in enumerate((True, False), 1):
        people.known[1, "s"] = Standing("A name", Role.USER, False, False, has_warning=has_warning)
        tell(node, control.STANDING_CHANGED, control.standing_changed(1))
        await wait_for_statements(people, statements)
        assert (ann.actor.has_warning, bob.actor.has_warning) == (has_warning, False)
    assert (ann.close_code, people.asked) == (None, [1, 1])


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
    # The first try has failed.
    await until(lambda: people.away == 0)
    await revalidation.stop()
    assert (client.close_code, people.asked) == (None, [])


def tell(node: Endpoint, event: str, payload: object) -> None:
    """Publish an event on the control topic as another process of this service does."""
    envelope = pack(Envelope("another node", event, json_payload(payload)))
    node.receive(control.CONTROL, Seal.of(node.settings, SEALED_FOR).sealed(control.CONTROL, envelope))


@pytest.mark.usefixtures("revalidation")
async def test_a_message_about_a_role_is_not_believed_and_the_database_is_asked(node: Endpoint, people: People) -> None:
    user, moderator = connected(node, people, 1), connected(node, people, 2, role=Role.MODERATOR)
    people.are(2, "s", role=Role.MODERATOR)
    await moderator.joins("room:1")
    tell(node, control.ROLE_CHANGED, control.role_changed(1, Role.ADMIN))
    tell(node, control.ROLE_CHANGED, control.role_changed(2, Role.USER))
    await wait_for_statements(people, 1)
    await wait_for_looks(user, moderator)
    assert (user.actor.role, moderator.actor.role) == (Role.USER, Role.MODERATOR)
    assert (moderator.take(), people.asked) == ([], [2])


@pytest.mark.usefixtures("revalidation")
async def test_a_message_about_a_disconnect_closes_only_users_whom_the_database_does_not_admit(
    node: Endpoint, people: People
) -> None:
    welcome, banned, other = connected(node, people, 1), connected(node, people, 2), connected(node, people, 3)
    out, still_in = connected(node, people, 4, "phone"), connected(node, people, 4, "desk")
    people.are(2, "s", banned=True)
    people.are(4, "phone", out=True)
    for user_id in (1, 2):
        tell(node, control.DISCONNECT, control.disconnect(user_id))
    tell(node, control.DISCONNECT, control.disconnect(4, "phone"))
    await wait_for_statements(people, 1)
    closes = [client.close_code for client in (welcome, banned, other, out, still_in)]
    assert (closes, people.asked) == ([None, 1001, None, 1001, None], [4])


@pytest.mark.usefixtures("revalidation")
async def test_a_user_who_was_looked_up_before_the_message_and_connects_after_it_is_looked_up_again(
    node: Endpoint, people: People
) -> None:
    before = asyncio.get_running_loop().time()
    people.are(1, "s", banned=True)
    tell(node, control.DISCONNECT, control.disconnect(1))
    late = Client(node, actor(1), as_of=before)
    await wait_for_statements(people, 1)
    assert late.close_code == 1001


@pytest.mark.usefixtures("revalidation")
async def test_broadcasts_wait_for_the_answer_about_a_role(node: Endpoint, people: People) -> None:
    former, current = (connected(node, people, user_id, role=Role.MODERATOR) for user_id in (1, 2))
    people.are(2, "s", role=Role.MODERATOR)
    for client in (former, current):
        await client.joins("room:1")
    people.is_open.clear()
    for user_id in (1, 2):
        tell(node, control.ROLE_CHANGED, control.role_changed(user_id, Role.USER))
    node.broadcast("room:1", "secret", {})
    await until(lambda: bool(people.asked))
    assert (former.take(), current.take()) == ([], [])
    people.is_open.set()
    assert await former.gets(1) == [closed()]
    assert await current.gets(1) == [broadcast("secret")]


async def test_the_database_is_asked_again_about_a_message_if_it_was_away(
    node: Endpoint, people: People, revalidation: Revalidation
) -> None:
    client = connected(node, people, 1)
    people.are(1, "s", banned=True)
    people.away = 1
    tell(node, control.DISCONNECT, control.disconnect(1))
    await wait_for_statements(people, 1)
    assert client.close_code == 1001
