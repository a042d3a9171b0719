"""Tests which users an access token admits: Postgres decides, and concurrent look-ups share a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from shared.access.actor import Actor
from shared.access.admission import MOST_SHARED, Admission, BadToken, Banned, Refused, SessionEnded, UserGone
from shared.access.tokens import Tokens
from shared.domain.users import Role, Standing
from shared.postgres import DatabaseUnavailable
from tests.support.secret import JWT_SECRET
from tests.support.waiting import until

TOKENS = Tokens((JWT_SECRET,), 3600)
ANN = Standing("Ann", Role.MODERATOR, is_banned=False, is_revoked=False)


class People:
    """Stands for Postgres: records what it is asked, answers while its gate is open, and fails while `is_away`."""

    def __init__(self) -> None:
        self.known = {1: ANN}
        self.asked: list[list[tuple[int, str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False

    async def standings(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Standing]:
        self.asked.append(list(pairs))
        known = dict(self.known)
        await self.gate.wait()
        if self.is_away:
            raise DatabaseUnavailable("away")
        return {pair: known[pair[0]] for pair in pairs if pair[0] in known}


@pytest.fixture
async def people() -> People:
    return People()


@pytest.fixture
async def admission(people: People) -> Admission:
    return Admission(TOKENS, people)


def token(user_id: int = 1, session_id: str = "a") -> str:
    """A token with the role at the time of its issue. The role in Postgres counts instead."""
    return TOKENS.issue(user_id, Role.USER, session_id)


def standing(*, banned: bool = False, out: bool = False) -> Standing:
    return Standing("Ann", Role.USER, banned, out)


async def wait_for_statement(people: People) -> None:
    await until(lambda: bool(people.asked))


async def test_an_actor_has_the_users_current_role_and_name(admission: Admission) -> None:
    shown = token()
    actor = await admission.admit(shown)
    claims = TOKENS.verify(shown)
    assert actor == Actor(1, "a", Role.MODERATOR, "Ann", claims.expires_at, claims.issued_at)
    assert await admission.readmit(actor) == actor


@pytest.mark.parametrize(
    ("banned", "out", "refusal"),
    [(True, False, Banned), (False, True, SessionEnded), (True, True, SessionEnded)],
)
async def test_a_banned_or_logged_out_user_is_neither_admitted_nor_readmitted(
    admission: Admission, people: People, banned: bool, out: bool, refusal: type[Refused]
) -> None:
    actor = await admission.admit(token())
    people.known[1] = standing(banned=banned, out=out)
    with pytest.raises(refusal):
        await admission.admit(token())
    with pytest.raises(refusal):
        await admission.readmit(actor)
    assert await admission.is_registered(1)


async def test_a_token_that_was_issued_before_all_were_ended_is_refused(admission: Admission, people: People) -> None:
    shown = token()
    actor = await admission.admit(shown)
    people.known[1] = replace(ANN, tokens_valid_after=TOKENS.verify(shown).issued_at)
    with pytest.raises(SessionEnded):
        await admission.admit(shown)
    with pytest.raises(SessionEnded):
        await admission.readmit(actor)
    people.known[1] = replace(ANN, tokens_valid_after=TOKENS.verify(shown).issued_at - 1)
    await admission.admit(shown)
    assert await admission.readmit(actor) == actor


async def test_an_unknown_user_is_refused(admission: Admission) -> None:
    with pytest.raises(UserGone):
        await admission.admit(token(user_id=2))
    assert not await admission.is_registered(2)


async def test_a_readmitted_user_has_the_changed_role(admission: Admission, people: People) -> None:
    actor = await admission.admit(token())
    people.known[1] = standing()
    assert await admission.readmit(actor) == actor.with_role(Role.USER)


@pytest.mark.parametrize("shown", ["", "x", "a.b.c", Tokens(("another-" * 5,), 3600).issue(1, Role.USER, "a")])
async def test_a_bad_token_is_refused_without_a_look_up(admission: Admission, people: People, shown: str) -> None:
    with pytest.raises(BadToken) as refused:
        await admission.admit(shown)
    assert people.asked == []
    assert not shown or shown not in str(refused.value)


async def test_an_expired_token_is_refused_without_a_look_up(admission: Admission, people: People) -> None:
    with pytest.raises(BadToken):
        await admission.admit(TOKENS.issue(1, Role.USER, "a", seconds=-1))
    assert people.asked == []


async def test_without_the_database_admission_raises_database_unavailable(admission: Admission, people: People) -> None:
    people.is_away = True
    with pytest.raises(DatabaseUnavailable):
        await admission.admit(token())


async def test_callers_during_a_look_up_share_the_next_one(admission: Admission, people: People) -> None:
    people.gate.clear()
    first = asyncio.ensure_future(admission.admit(token()))
    await wait_for_statement(people)
    # The first look-up began before Ann was banned, the look-ups of the others begin later.
    people.known[1] = standing(banned=True)
    others = [asyncio.ensure_future(admission.admit(token(user_id))) for user_id in (1, 2, 1)]
    await asyncio.sleep(0)
    people.gate.set()
    assert (await first).name == "Ann"
    refused = await asyncio.gather(*others, return_exceptions=True)
    assert [type(one) for one in refused] == [Banned, UserGone, Banned]
    assert people.asked == [[(1, "a")], [(1, "a"), (2, "a")]]


async def test_many_users_are_looked_up_in_batches(admission: Admission, people: People) -> None:
    people.known = dict.fromkeys(range(1, MOST_SHARED + 3), ANN)
    people.gate.clear()
    admitted = asyncio.gather(*(admission.admit(token(user_id)) for user_id in people.known))
    await wait_for_statement(people)
    people.gate.set()
    assert {actor.user_id for actor in await admitted} == set(people.known)
    assert [len(pairs) for pairs in people.asked] == [1, MOST_SHARED, 1]


async def test_closing_waits_for_running_look_ups(admission: Admission, people: People) -> None:
    people.gate.clear()
    asking = asyncio.ensure_future(admission.admit(token()))
    await wait_for_statement(people)
    closing = asyncio.ensure_future(admission.close())
    await asyncio.sleep(0)
    assert not closing.done()
    people.gate.set()
    await closing
    assert (await asking).user_id == 1
