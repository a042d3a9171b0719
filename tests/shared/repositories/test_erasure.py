"""What is left of people who have left is erased when their time has come, in small steps, whatever is interrupted."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.repositories import erasure
from shared.repositories.chores import ChoreRepository
from shared.repositories.erasure import erase_some
from shared.repositories.users import UserRepository
from tests.api.locks import holder

GONE, OTHER, MODERATOR = 1, 2, 3
DAYS = 30


class Left:
    """A database in which user 1 has left, with traces in every table; and the erasure."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def run(self, sql: str, *parameters: object) -> int:
        return await self.database.execute(Statement("", sql), *parameters)

    async def fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.database.fetch(Statement("", sql), *parameters)

    async def listings(self, seller_id: int, count: int) -> None:
        """Insert listings with two pictures, two replies and a report each."""
        await self.run(
            """WITH made AS (
                   INSERT INTO listings (seller_id, category_id, title, content, location, trashed_at)
                   SELECT %s, 1, 'Wreck', 'Call Jane.', '12 Main St', now() FROM generate_series(1, %s) RETURNING id
               ), shown AS (
                   INSERT INTO pictures (listing_id, key, content_type, size, width, height, thumbnail_key,
                                         thumbnail_content_type, thumbnail_size)
                   SELECT id, 'p' || id || n, 'image/jpeg', 1, 1, 1, 't' || id || n, 'image/jpeg', 1
                   FROM made, generate_series(1, 2) AS n
               ), answered AS (
                   INSERT INTO replies (listing_id, author_id, text) SELECT id, 2, 'Still there?'
                   FROM made, generate_series(1, 2)
               )
               INSERT INTO reports (listing_id, reporter_id, reason, text) SELECT id, 3, 'fraud', 'It is mine.'
               FROM made""",
            seller_id,
            count,
        )

    async def erase(self) -> None:
        work = partial(erase_some, after_days=DAYS)
        assert await ChoreRepository(self.database).do("erasure", 0, work) is True

    async def count(self, table: str, condition: str = "true") -> int:
        [[count]] = await self.fetch(f"SELECT count(*) FROM {table} WHERE {condition}")
        return int(count)

    async def step(self) -> bool:
        async with self.database.transaction() as transaction:
            return await erase_some(transaction, after_days=DAYS)


@pytest.fixture
async def left(database: Database, users: UserRepository) -> Left:
    left = Left(database)
    await left.run("INSERT INTO categories (name) VALUES ('Cars')")
    await left.listings(GONE, 3)
    await left.listings(OTHER, 2)
    await left.run(
        """INSERT INTO replies (listing_id, author_id, text) SELECT id, 1, 'Mine.' FROM listings WHERE seller_id = 2"""
    )
    await left.run(
        """INSERT INTO reports (listing_id, reporter_id, reason, text)
           SELECT id, 1, 'spam', 'Jane told me.' FROM listings WHERE seller_id = 2"""
    )
    await left.run("INSERT INTO blocks (blocker_id, blocked_id) VALUES (1, 2), (2, 1), (2, 3)")
    await left.run("INSERT INTO messages (from_id, to_id, text) VALUES (1, 2, 'Hello'), (2, 1, 'Hello')")
    await left.run(
        """INSERT INTO contacts (user_id, other_id, state, seems_accepted)
           VALUES (1, 2, 'accepted', true), (2, 1, 'open', false), (3, 2, 'declined', false)"""
    )
    await left.run(
        """INSERT INTO sessions (id, user_id, expires_at) SELECT 's' || id, id, now() + interval '1 day' FROM users"""
    )
    # Jane and another person have saved searches and favourites, and were told of each other's listings.
    await left.run(
        """INSERT INTO saved_searches (user_id, name, query, words_at)
           SELECT one, 'Mine', '{}', now() FROM unnest(ARRAY[1, 2]) AS one"""
    )
    for of_others in ("l.seller_id <> 1", "l.seller_id = 1"):
        user_id = 1 if of_others == "l.seller_id <> 1" else 2
        own = "(SELECT id FROM saved_searches WHERE user_id = %s)"
        await left.run(
            f"""INSERT INTO told_matches (search_id, listing_id)
                SELECT {own}, l.id FROM listings l WHERE {of_others}""",
            user_id,
        )
        await left.run(
            f"""INSERT INTO alerts (user_id, kind, listing_id, search_id)
                SELECT %s, 'match', l.id, {own} FROM listings l WHERE {of_others}""",
            user_id,
            user_id,
        )
        await left.run(
            f"""INSERT INTO favourites (user_id, listing_id, title, is_sold)
                SELECT %s, l.id, l.title, false FROM listings l WHERE {of_others}""",
            user_id,
        )
    await left.run(
        """INSERT INTO sanctions (kind, user_id, listing_id, by_id, reason, objection, objected_at)
           SELECT 'hiding', l.seller_id, l.id, 3, 'a wreck, says Jane', 'No.', now() FROM listings l"""
    )
    await left.run("INSERT INTO notes (user_id, author_id, text) SELECT one, 3, 'Hm.' FROM unnest(ARRAY[1, 1, 2]) one")
    await left.run("INSERT INTO notes (listing_id, author_id, text) SELECT id, 1, 'Hm.' FROM listings")
    await left.run("INSERT INTO audit (actor_id, action, target_type, target_id) VALUES (3, 'ban', 'user', 1)")
    await left.run(
        """UPDATE users SET banned_at = now() - interval '2 days', banned_until = now() - interval '1 day',
                            banned_by = 3, ban_reason = 'sold me a wreck, says Jane'
           WHERE id <= 2"""
    )
    await users.delete(GONE)
    return left


async def leave(left: Left, days: float, user_id: int = GONE) -> None:
    """Let the user have left this long ago, by the database's clock."""
    when = "UPDATE users SET deleted_at = now() - make_interval(secs => %s) WHERE id = %s"
    await left.run(when, days * 86_400, user_id)


async def test_a_ban_leaves_nothing_in_the_row_of_an_account_whose_owner_leaves(left: Left) -> None:
    bans = "SELECT banned_at, banned_until, banned_by, ban_reason FROM users WHERE id = %s"
    assert await left.fetch(bans, GONE) == [(None, None, None, None)]
    assert (await left.fetch(bans, OTHER))[0][3] == "sold me a wreck, says Jane"


async def test_nothing_is_erased_before_its_time(left: Left) -> None:
    await leave(left, DAYS - 0.01)
    await left.erase()
    assert await left.count("listings", "seller_id = 1") == 3
    assert await left.fetch("SELECT FROM users WHERE erased_at IS NOT NULL") == []


async def test_what_is_personal_is_erased_and_what_belongs_to_others_stays(left: Left) -> None:
    await leave(left, DAYS + 0.01)
    await left.erase()
    assert await left.count("listings", "seller_id = 1") == 0
    # The other person's search stays. All else was Jane's, or about her listings.
    assert await left.fetch("SELECT user_id FROM saved_searches") == [(OTHER,)]
    for table in ("alerts", "favourites", "told_matches"):
        assert await left.count(table) == 0
    assert await left.count("sanctions", "user_id = 1") == 0
    assert await left.count("sanctions", "kind = 'hiding'") == await left.count("notes", "listing_id IS NOT NULL") == 2
    assert await left.count("notes", "user_id = 1") == 0
    assert await left.count("listings") == await left.count("pictures") / 2 == 2
    # Each picture of the three listings has two files.
    assert await left.count("abandoned_files", "since <= now()") == 3 * 2 * 2
    assert await left.count("replies", "author_id = 2") == await left.count("reports", "reporter_id = 3") * 2 == 4
    assert await left.fetch("SELECT DISTINCT reason, text FROM reports WHERE reporter_id = 1") == [("spam", None)]
    assert await left.fetch("SELECT blocker_id, blocked_id FROM blocks ORDER BY 2") == [(2, 1), (2, 3)]
    assert await left.fetch("SELECT user_id FROM contacts ORDER BY 1") == [(2,), (3,)]
    assert await left.count("sessions", "user_id = 1") == 0
    assert await left.count("sessions") == 9
    # Other people's conversations, and what moderators did, stay.
    assert await left.count("messages") == 2
    assert await left.count("replies", "author_id = 1") == 2
    assert await left.count("audit") == 1
    assert await left.count("users") == 10
    assert await left.fetch("SELECT id, name, email FROM users WHERE erased_at IS NOT NULL") == [(GONE, "", None)]


async def test_people_who_left_with_an_earlier_version_are_erased_too(left: Left) -> None:
    await leave(left, 1000)
    await left.run("UPDATE users SET banned_at = now(), banned_by = 3, ban_reason = 'says Jane' WHERE id = 1")
    await left.erase()
    assert await left.fetch("SELECT banned_at, banned_by, ban_reason FROM users WHERE id = 1") == [(None, None, None)]


async def test_everybody_whose_time_has_come_is_erased_and_each_only_once(left: Left) -> None:
    for user_id in range(4, 9):
        await leave(left, DAYS + user_id, user_id)
    await left.erase()
    erased = "SELECT id, erased_at FROM users WHERE erased_at IS NOT NULL ORDER BY erased_at, id"
    first = await left.fetch(erased)
    assert [row[0] for row in first] == [8, 7, 6, 5, 4]
    await leave(left, DAYS + 1)
    await left.erase()
    assert await left.fetch(erased) == [*first, *await left.fetch("SELECT id, erased_at FROM users WHERE id = 1")]


async def test_each_step_changes_few_rows_and_the_last_one_says_that_it_is_done(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "MAX_ROWS", 4)
    monkeypatch.setattr(erasure, "MAX_LISTINGS", 2)
    await left.run("INSERT INTO replies (listing_id, author_id, text) SELECT 1, 2, '?' FROM generate_series(1, 21)")
    await left.listings(GONE, 4)
    await leave(left, DAYS + 1)
    steps, before = 0, await rows(left)
    while not await left.step():
        after = await rows(left)
        # Four replies, four reports, and two listings with two pictures of two files each.
        assert all(abs(before[table] - after[table]) <= 8 for table in before), (before, after)
        steps, before = steps + 1, after
    assert await left.count("listings", "seller_id = 1") == 0
    assert await left.count("users", "erased_at IS NOT NULL") == 1
    assert steps >= 21 / 4 + 7 / 2


async def rows(left: Left) -> dict[str, int]:
    tables = ["listings", "pictures", "replies", "reports", "blocks", "sessions", "abandoned_files"]
    tables += ["alerts", "favourites", "told_matches", "saved_searches", "sanctions", "notes"]
    return {table: await left.count(table) for table in tables}


async def test_an_erasure_that_is_killed_half_way_goes_on_where_it_was(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "MAX_LISTINGS", 1)
    await leave(left, DAYS + 1)
    async with holder(left.database)("SELECT FROM listings WHERE id = 2 FOR UPDATE") as held:
        erasing = asyncio.create_task(left.erase())
        await held.until_waiting(1, erasing)
        await held.kill_the_waiting()
        with pytest.raises(DatabaseUnavailable):
            await erasing
    # The first step was done. The second is not, and nothing of it is.
    assert await left.fetch("SELECT id FROM listings WHERE seller_id = 1 ORDER BY id") == [(2,), (3,)]
    of_the_rest = "listing_id IN (2, 3)"
    assert await left.count("pictures", of_the_rest) == await left.count("replies", of_the_rest) == 4
    assert await left.count("abandoned_files") == 4
    assert await left.count("users", "erased_at IS NOT NULL") == 0
    await left.erase()
    assert await left.count("listings", "seller_id = 1") == 0
    assert await left.count("abandoned_files") == 12
    assert await left.count("users", "erased_at IS NOT NULL") == 1


# A step reads few rows in large tables: 20,000 users, of whom half left long ago, and 5,000 listings of others.
LARGE = """
INSERT INTO users (id, email, name, password_hash) SELECT n, n || '@large.example', 'P', '-'
    FROM generate_series(11, 20000) AS n;
UPDATE users SET deleted_at = '2020-01-01', erased_at = now() WHERE id %% 2 = 0 AND id > 10;
INSERT INTO sessions (id, user_id, expires_at) SELECT 'x' || id, id, now() FROM users;
INSERT INTO blocks (blocker_id, blocked_id) SELECT id, 1 FROM users WHERE id > 10"""


async def test_a_step_reads_no_whole_table(left: Left, owner: Database) -> None:
    # Each by itself, because a statement is not waited for long.
    for statement in LARGE.split(";"):
        await left.run(statement)
    await left.listings(OTHER, 5_000)
    await leave(left, DAYS + 1)
    await owner.execute(Statement("", "VACUUM (ANALYZE)"))
    async with left.database.transaction() as transaction:
        # The counts still include what this connection did in the last second, before the transaction.
        before = {table: rows for table, *rows in await transaction.fetch(READ)}
        assert await erase_some(transaction, after_days=DAYS) is False
        after = {table: rows for table, *rows in await transaction.fetch(READ)}
    read = {
        table: [now - then for now, then in zip(rows, before.get(table, [0, 0]), strict=True)]
        for table, rows in after.items()
    }
    assert read.keys() >= {"users", "listings", "pictures", "replies", "reports", "blocks", "sessions"}
    assert {table: rows for table, rows in read.items() if rows[0] > 0 or rows[1] > 60} == {}
    assert read["listings"][1] > 0
    assert await left.count("users", "id = 1 AND erased_at IS NOT NULL") == 1


READ = Statement(
    "",
    "SELECT relname, seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE seq_scan + idx_scan > 0",
)
"""What the connection has read up to now: rows of whole tables, and rows by an index."""
