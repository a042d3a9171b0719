"""Whoever takes a turn among the messages lets the others have theirs soon, whatever else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.holds import HoldDecision
from shared.domain.messages import NewMessage
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.postgres import Database, DatabaseUnavailable, Statement, Transaction
from shared.repositories.holds import HoldRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.messages import MessageRepository
from shared.repositories.moderation_queue import ModerationQueue
from shared.settings import Settings
from tests.shared.repositories.test_holds import LIMITS, SPAMMER, offer, send
from tests.support.waiting import eventually

MODERATOR = 10
LONGEST_SECONDS = 4.0
"""A message waits for at most two seconds for a process that is frozen; machines of tests are slow."""
_LOCK_USER = Statement("test_lock_user", "SELECT FROM users WHERE id = $1 FOR UPDATE", ("bigint",))
_LOCK_MESSAGE = Statement("test_lock_message", "SELECT FROM messages WHERE id = $1 FOR UPDATE", ("bigint",))
_FORGET_HELD = Statement(
    "test_forget_held", "DELETE FROM held_messages WHERE message_id = $1 RETURNING message_id", ("bigint",)
)
_PROMOTE = Statement("test_promote", "UPDATE users SET role = 'moderator' WHERE id = $1", ("bigint",))
_WAITERS = Statement("", "SELECT count(*) FROM pg_locks WHERE NOT granted")
_HOLD = Statement("", "SELECT id FROM holds ORDER BY id DESC LIMIT 1")


class Frozen(Database):
    """Its transactions freeze before they commit."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.is_frozen = asyncio.Event()
        self.goes_on = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as transaction:
            yield transaction
            self.is_frozen.set()
            await self.goes_on.wait()


@pytest.fixture
def inserts(database: Database) -> MessageInserts:
    return MessageInserts(database, LIMITS)


async def decide(database: Database, hold_id: int) -> None:
    await HoldRepository(database).decide(hold_id, HoldDecision.KEPT, by=MODERATOR)


async def close(database: Database, hold_id: int) -> None:
    subject = GroupSubject(SubjectKind.PERSON, SPAMMER)
    await ModerationQueue(database).close(subject, up_to=datetime.now(UTC) + timedelta(hours=1), by=MODERATOR)


@pytest.mark.parametrize("act", [decide, close])
async def test_a_decision_whose_process_freezes_keeps_no_message_waiting_for_long(
    database: Database,
    inserts: MessageInserts,
    settings: Settings,
    act: Callable[[Database, int], Coroutine[Any, Any, None]],
) -> None:
    await send(inserts, *map(offer, range(2, 6)))
    await database.execute(_PROMOTE, MODERATOR)
    [(hold_id,)] = await database.fetch(_HOLD)
    frozen = Frozen(settings)
    acting = asyncio.create_task(act(frozen, hold_id))
    await frozen.is_frozen.wait()
    async with asyncio.timeout(LONGEST_SECONDS):
        assert await send(inserts, NewMessage(2, 3, "Is it still there?")) == [False]
    frozen.goes_on.set()
    with pytest.raises(DatabaseUnavailable):
        await acting
    await frozen.close()
    # It may be done again.
    assert await HoldRepository(database).decide(hold_id, HoldDecision.KEPT, by=MODERATOR)


async def test_a_first_message_that_is_held_does_not_wait_for_whoever_warns_its_sender(
    database: Database, inserts: MessageInserts
) -> None:
    await send(inserts, offer(2), offer(3))
    async with database.transaction() as transaction:
        await transaction.fetch(_LOCK_USER, SPAMMER)
        async with asyncio.timeout(LONGEST_SECONDS):
            assert await send(inserts, offer(4)) == [True]


async def test_a_held_message_that_is_deleted_while_it_goes_is_gone(
    database: Database, messages: MessageRepository, inserts: MessageInserts
) -> None:
    await send(inserts, *map(offer, range(2, 5)))
    [held] = [one.id for one in await messages.after(SPAMMER, 0, 100) if one.is_held]
    async with database.transaction() as transaction:
        # As a deletion does: the message first.
        await transaction.fetch(_LOCK_MESSAGE, held)
        going = asyncio.create_task(HoldRepository(database).let_go(held))

        async def is_waiting() -> bool:
            return bool((await database.fetch(_WAITERS))[0][0])

        assert await eventually(is_waiting)
        assert await transaction.fetch(_FORGET_HELD, held) == [(held,)]
    assert await going is None


async def test_texts_are_compared_before_a_message_with_pictures_takes_its_turn(
    database: Database, inserts: MessageInserts, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[Statement] = []
    fetch = Transaction.fetch

    async def noted(self: Transaction, statement: Statement, *parameters: object) -> list[tuple[object, ...]]:
        executed.append(statement)
        return await fetch(self, statement, *parameters)

    await send(inserts, offer(2), offer(3))
    monkeypatch.setattr(Transaction, "fetch", noted)
    message = await inserts.insert_with_pictures(offer(4), [])
    assert message.is_held
    assert [bool(statement.first) for statement in executed].count(True) == 1
    assert executed[-1].first
