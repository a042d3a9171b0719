"""Tests users in the database: whether they may connect, and how long their sessions last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from shared.domain.users import Role, Standing
from shared.postgres import Database
from shared.repositories.sessions import Refresh, SessionRepository
from shared.repositories.users import UserRepository

LONGEST = 90 * 24 * 3600


async def test_the_standings_of_many_users_equal_those_of_each(database: Database, users: UserRepository) -> None:
    sessions = SessionRepository(database)
    await users.set_role(2, Role.ADMIN, by=None)
    await users.ban(3, until=None, reason="x", by=2)
    await users.ban(4, until=datetime.now(UTC) - timedelta(seconds=1), reason="x", by=2)
    await users.delete(5)
    await sessions.begin("alive", 1, 60, checked_hash="no hash")
    await sessions.revoke("over", 1, datetime.now(UTC), "logged out")
    pairs = [(1, "alive"), (1, "over"), (1, "unheard of"), (2, "x"), (3, "x"), (4, "x"), (5, "x"), (99, "x")]
    found = await users.standings(pairs)
    made = {pair: standing.created_at for pair, standing in found.items()}
    assert [made.pop((2, "x")), min(made.values()) > 1_700_000_000] == [0, True]
    assert {pair: msgspec.structs.replace(standing, created_at=0) for pair, standing in found.items()} == {
        (1, "alive"): Standing("User 1", Role.USER, False, False),
        (1, "over"): Standing("User 1", Role.USER, False, True),
        (1, "unheard of"): Standing("User 1", Role.USER, False, False),
        (2, "x"): Standing("User 2", Role.ADMIN, False, False, None, lacks_second_factor=True),
        (3, "x"): Standing("User 3", Role.USER, True, False),
        (4, "x"): Standing("User 4", Role.USER, False, False),
    }
    for pair in pairs:
        assert (await users.standings([pair])).get(pair) == found.get(pair)
    assert await users.standings([]) == {}


async def test_a_session_ends_at_its_time(database: Database) -> None:
    sessions = SessionRepository(database)
    await sessions.begin("short", 1, -1, checked_hash="no hash")
    assert (await sessions.refresh("short", 0, 60, longest_seconds=LONGEST, grace_seconds=30)).outcome is Refresh.ENDED
    await sessions.begin("long", 1, 60, checked_hash="no hash")
    rotated = await sessions.refresh("long", 0, 60, longest_seconds=LONGEST, grace_seconds=30)
    assert (rotated.outcome, rotated.user_id, rotated.generation) == (Refresh.ROTATED, 1, 1)
    assert (
        await sessions.refresh("unheard of", 0, 60, longest_seconds=LONGEST, grace_seconds=30)
    ).outcome is Refresh.ENDED


async def test_a_log_out_is_kept_while_a_token_of_its_session_may_exist(
    database: Database, users: UserRepository
) -> None:
    sessions = SessionRepository(database)
    until = datetime.now(UTC) + timedelta(hours=1)
    await sessions.revoke("jti:1:x", 1, until, "logged out")
    await sessions.revoke("jti:1:x", 1, until, "logged out")
    await sessions.begin("another", 1, 60, checked_hash="no hash")
    standings = await users.standings([(1, "jti:1:x")])
    assert standings[1, "jti:1:x"].is_revoked
