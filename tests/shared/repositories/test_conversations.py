"""Finds conversations in the messages: in both orders and with some users, at a low cost even for a busy dealer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.domain.ids import MAX_ID
from shared.domain.messages import Conversation, Decision, NewMessage
from shared.postgres import Database, Statement
from shared.postgres.statement import array
from shared.repositories import conversations as module
from shared.repositories.contacts import ContactRepository
from shared.repositories.conversations import RECENT, ConversationRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.users import UserRepository
from shared.settings import Settings

ME = 1


async def write(inserts: MessageInserts, *pairs: tuple[int, int]) -> None:
    """Store a message from the first to the second user of each pair, in this order, and let all be accepted."""
    await inserts.insert_many([NewMessage(from_id, to_id, "x") for from_id, to_id in pairs])
    contacts = ContactRepository(inserts._database)
    for from_id, to_id in {(one, other) for one, other in pairs if one != other}:
        await contacts.decide(to_id, from_id, Decision.ACCEPTED)


def users_of(found: list[Conversation]) -> list[int]:
    return [one.user_id for one in found]


async def all_pages(repository: ConversationRepository, order: str, limit: int) -> list[Conversation]:
    """All conversations of one order, page by page."""
    found: list[Conversation] = []
    while True:
        if order == "latest":
            before_id = found[-1].last_message.id if found else MAX_ID
            page = await repository.latest(ME, before_id=before_id, limit=limit)
        else:
            page = await repository.by_user(ME, after_id=found[-1].user_id if found else 0, limit=limit)
        found += page
        if len(page) < limit:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
@pytest.mark.parametrize("recent", [1, 3, 500])
async def test_each_order_has_each_conversation_once_with_its_last_message(
    inserts: MessageInserts,
    conversations: ConversationRepository,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    recent: int,
) -> None:
    monkeypatch.setattr(module, "RECENT", recent)
    await write(
        inserts, (5, ME), (ME, 4), (4, ME), (ME, 3), (ME, ME), (ME, 3), (9, 8), (ME, 5), (7, ME), (7, ME), (7, 8)
    )
    latest = await all_pages(conversations, "latest", limit)
    assert users_of(latest) == [7, 5, 3, ME, 4]
    assert [(one.last_message.from_id, one.unread_count) for one in latest] == [
        (7, 2),
        (ME, 1),
        (ME, 0),
        (ME, 1),
        (4, 1),
    ]
    by_user = await all_pages(conversations, "user", limit)
    assert users_of(by_user) == [ME, 3, 4, 5, 7]
    assert sorted(latest, key=lambda one: one.user_id) == by_user


async def test_conversations_with_some_users_equal_those_in_the_whole_list(
    inserts: MessageInserts, conversations: ConversationRepository
) -> None:
    await write(inserts, (5, ME), (ME, 4), (3, ME), (6, 7))
    latest = await all_pages(conversations, "latest", 10)
    # User 3 is named twice, users 6 and 7 have never written to me, and user 99 does not exist.
    found = await conversations.with_users(ME, [5, 3, 3, 6, 7, 99], before_id=MAX_ID, limit=10)
    assert found == [one for one in latest if one.user_id in (3, 5)]
    assert await conversations.with_users(ME, [3, 5], before_id=found[0].last_message.id, limit=10) == found[1:]
    assert await conversations.with_users(ME, [3, 5], before_id=MAX_ID, limit=1) == found[:1]


@pytest.mark.parametrize("reader", [1, 2])
async def test_the_name_of_a_deleted_user_is_empty(
    inserts: MessageInserts, conversations: ConversationRepository, users: UserRepository, reader: int
) -> None:
    await write(inserts, (1, 2))
    await users.delete(3 - reader)
    [conversation] = await conversations.latest(reader, before_id=MAX_ID, limit=10)
    assert conversation.user_name == ""


# The dealer has conversations of ten messages with each of 2,000 people, whose ids are 11 to 2,010.
DEALER = f"""
INSERT INTO users (id, email, name, password_hash) SELECT n, n || '@dealer.example', 'P', '-'
    FROM generate_series(11, 2010) AS n;
INSERT INTO messages (from_id, to_id, text)
    SELECT n, {ME}, 'x' FROM generate_series(1, 9), generate_series(11, 2010) AS n;
INSERT INTO messages (from_id, to_id, text) SELECT {ME}, n, 'x' FROM generate_series(11, 2010) AS n;
UPDATE messages SET read_at = now() WHERE id %% 50 <> 0;
ANALYZE messages"""


def entries_read(plan: dict[str, Any]) -> int:
    """The number of entries that the plan read from the table of messages and its indexes."""
    found = sum(entries_read(below) for below in plan.get("Plans", ()))
    if plan.get("Alias") in ("m", "r", "s") or plan.get("Relation Name") == "messages":
        dropped = sum(value for name, value in plan.items() if name.startswith("Rows Removed by"))
        found += int((plan["Actual Rows"] + dropped) * plan["Actual Loops"])
    return found


class Watched(Database):
    """Counts the statements, and the entries that they read from the messages and their indexes."""

    statements = 0
    entries = 0

    async def fetch(self, statement: Statement, *parameters: Any) -> list[tuple[Any, ...]]:
        sql = statement.sql
        for number in range(len(parameters), 0, -1):
            value = (
                array(parameters[number - 1]) if isinstance(parameters[number - 1], list) else parameters[number - 1]
            )
            sql = sql.replace(f"${number}", f"'{value}'::{statement.types[number - 1]}")
        [(plans,)] = await super().fetch(Statement("", f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {sql}"))
        self.statements += 1
        self.entries += entries_read(plans[0]["Plan"])
        return await super().fetch(statement, *parameters)


@pytest.fixture
async def watched(database: Database, owner: Database, settings: Settings) -> AsyncIterator[Watched]:
    await owner.execute(Statement("", DEALER))
    counting = Watched(settings)
    yield counting
    await counting.close()


PAGE = 100
MOST_A_ROW = 20
"""At most this many entries are read for one conversation: its partner, its last message and its unread messages."""


async def test_the_number_of_read_entries_is_bounded_by_the_returned_conversations(watched: Watched) -> None:
    repository = ConversationRepository(watched)
    found = await all_pages(repository, "user", PAGE)
    assert users_of(found) == list(range(11, 2011))
    print(f"all, by user: {watched.statements} statements, {watched.entries} entries")
    assert watched.entries <= MOST_A_ROW * len(found)

    watched.entries = 0
    some = await repository.with_users(ME, users_of(found[:PAGE]), before_id=MAX_ID, limit=PAGE)
    print(f"of {PAGE} users: {watched.entries} entries")
    assert len(some) == PAGE
    assert watched.entries <= MOST_A_ROW * PAGE

    watched.entries = 0
    assert users_of(await repository.latest(ME, before_id=MAX_ID, limit=2)) == [2010, 2009]
    print(f"the latest: {watched.entries} entries")
    assert watched.entries <= 2 * RECENT + 2 * MOST_A_ROW

    watched.entries = watched.statements = 0
    assert len(await all_pages(repository, "latest", PAGE)) == 2000
    print(f"all, the latest first: {watched.statements} statements, {watched.entries} entries")
