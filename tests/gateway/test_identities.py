"""Looking up who somebody is: together with whoever else asks, never an answer older than the question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.authentication import TokenAuthenticator
from gateway.identities import Identities
from gateway.identity import Identity, Refused
from shared.access.tokens import Tokens
from shared.domain.users import Identity as Person
from shared.domain.users import Role
from shared.postgres import DatabaseUnavailable

SECRET = "a-secret-of-the-tests-a-secret-of-the-tests"


class People:
    """What Postgres would say, when its gate is open. It counts what it is asked."""

    def __init__(self) -> None:
        self.known = {1: Person("Ann", Role.MODERATOR, False, False)}
        self.asked: list[list[tuple[int, str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False

    async def identities(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Person]:
        self.asked.append(list(pairs))
        await self.gate.wait()
        if self.is_away:
            raise DatabaseUnavailable("away")
        return {pair: self.known[pair[0]] for pair in pairs if pair[0] in self.known}


@pytest.fixture
async def people() -> People:
    return People()


@pytest.fixture
async def identities(people: People) -> Identities:
    return Identities(people)


async def test_who_asks_while_a_look_up_is_under_way_shares_the_next_one(
    people: People, identities: Identities
) -> None:
    people.gate.clear()
    first = asyncio.ensure_future(identities.find(1, "a"))
    while not people.asked:  # noqa: ASYNC110 (it tells nobody)
        await asyncio.sleep(0)
    others = [asyncio.ensure_future(identities.find(user_id, "a")) for user_id in (1, 2, 1)]
    await asyncio.sleep(0)
    # What the first one asked began before Ann was banned; what the others asked did not.
    people.gate.set()
    before = await first
    people.known[1] = Person("Ann", Role.MODERATOR, True, False)
    assert before is not None
    assert not before.is_banned
    after = await asyncio.gather(*others)
    assert people.asked == [[(1, "a")], [(1, "a"), (2, "a")]]
    assert after[1] is None
    assert after[0] == after[2]


class TestAuthenticator:
    """Who is let in by which token."""

    tokens = Tokens(SECRET, 3600)

    @pytest.fixture
    def authenticate(self, identities: Identities) -> TokenAuthenticator:
        return TokenAuthenticator(self.tokens, identities)

    def token(self, user_id: int = 1, session: str = "a") -> str:
        return self.tokens.issue(user_id, Role.USER, session)

    async def test_it_says_who_has_connected(self, authenticate: TokenAuthenticator) -> None:
        before = asyncio.get_running_loop().time()
        identity = await authenticate(self.token())
        assert (identity.user_id, identity.session_id, identity.role, identity.name) == (1, "a", "moderator", "Ann")
        # When it was looked up: what happened to Ann since counts.
        assert before <= identity.as_of <= asyncio.get_running_loop().time()

    @pytest.mark.parametrize(
        ("banned", "out", "reason"), [(True, False, "banned"), (False, True, "logged out"), (True, True, "banned")]
    )
    async def test_whoever_is_not_welcome_is_refused(
        self, authenticate: TokenAuthenticator, people: People, banned: bool, out: bool, reason: str
    ) -> None:
        people.known[1] = Person("Ann", Role.USER, banned, out)
        with pytest.raises(Refused, match=reason):
            await authenticate(self.token())

    async def test_whoever_does_not_exist_is_refused(self, authenticate: TokenAuthenticator) -> None:
        with pytest.raises(Refused, match="no such user"):
            await authenticate(self.token(user_id=2))

    @pytest.mark.parametrize("token", ["", "x", "a.b.c"])
    async def test_a_bad_token_is_refused_without_a_look(
        self, authenticate: TokenAuthenticator, people: People, token: str
    ) -> None:
        with pytest.raises(Refused):
            await authenticate(token)
        assert people.asked == []

    async def test_with_the_database_away_nobody_is_refused_for_good(
        self, authenticate: TokenAuthenticator, people: People
    ) -> None:
        people.is_away = True
        with pytest.raises(DatabaseUnavailable):
            await authenticate(self.token())


def test_an_identity_that_nobody_looked_up_is_as_of_for_ever() -> None:
    assert Identity(1, 0.0).as_of == float("inf")
