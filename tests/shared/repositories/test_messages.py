"""Tests messages in the database: batches, client references, the order of ids, and conversations."""

from __future__ import annotations

import asyncio
from contextlib import closing

import psycopg2
import pytest

from shared.domain.ids import MAX_ID
from shared.domain.messages import (
    Blocked,
    Blocking,
    InvalidMessage,
    Message,
    MessageRefused,
    NewMessage,
    UnknownRecipient,
    UnreadWarning,
)
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.repositories.blocks import BlockRepository
from shared.repositories.conversations import ConversationRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.messages import MessageRepository
from shared.repositories.users import UserRepository
from shared.settings import Settings


def stored(answer: Message | MessageRefused) -> Message:
    assert isinstance(answer, Message)
    return answer


async def count(database: Database) -> int:
    row = await database.fetch_one(Statement("", "SELECT count(*) FROM messages"))
    assert row is not None
    return int(row[0])


async def test_stored_messages_are_counted_and_neither_refused_ones_nor_repeats(
    inserts: MessageInserts, blocks: BlockRepository
) -> None:
    await blocks.block(3, 1)
    await inserts.insert_many(
        [NewMessage(1, 2, "one"), NewMessage(1, 2, "two", client_ref="a"), NewMessage(1, 3, "refused")]
    )
    assert inserts.stored == 2
    await inserts.insert_many([NewMessage(1, 2, "two", client_ref="a"), NewMessage(2, 1, "three")])
    assert inserts.stored == 3
    await inserts.insert_with_pictures(NewMessage(1, 2, "four", client_ref="b"), [])
    await inserts.insert_with_pictures(NewMessage(1, 2, "four", client_ref="b"), [])
    with pytest.raises(Blocked):
        await inserts.insert_with_pictures(NewMessage(1, 3, "refused"), [])
    assert inserts.stored == 4


async def test_a_batch_is_answered_in_order(
    database: Database, messages: MessageRepository, inserts: MessageInserts, blocks: BlockRepository
) -> None:
    await blocks.block(3, 1)
    await database.execute(Statement("", "INSERT INTO categories (id, name) VALUES (1, 'Cars')"))
    await database.execute(
        Statement(
            "", "INSERT INTO listings (id, seller_id, category_id, title, content) VALUES (1, 2, 1, 'Car', 'Good')"
        )
    )
    batch = [
        NewMessage(1, 2, "first"),
        NewMessage(1, 99, "to nobody"),
        NewMessage(1, 3, "to one who does not want it"),
        NewMessage(2, 1, "about a listing", listing_id=1),
        NewMessage(2, 1, "about no listing", listing_id=99),
        NewMessage(1, 2, "with a reference", client_ref="a"),
        NewMessage(3, 1, "the blocker writes"),
        NewMessage(1, 1, "to oneself"),
        NewMessage(1, 2, "first"),
    ]
    answers = await inserts.insert_many(batch)
    refused = {1: UnknownRecipient, 2: Blocked, 4: InvalidMessage, 6: Blocking}
    for index, (new, answer) in enumerate(zip(batch, answers, strict=True)):
        if index in refused:
            assert type(answer) is refused[index]
        else:
            message = stored(answer)
            assert (message.from_id, message.to_id, message.text) == (new.from_id, new.to_id, new.text)
            assert message.listing_id == new.listing_id
    ids = [answer.id for answer in answers if isinstance(answer, Message)]
    assert ids == sorted(ids)
    by_id = {message.id: message for user in (1, 2, 3) for message in await messages.after(user, 0, 100)}
    assert by_id == {answer.id: answer for answer in answers if isinstance(answer, Message)}


@pytest.mark.parametrize("are_settled", [False, True])
async def test_only_the_messages_of_a_sender_with_an_unread_warning_are_refused(
    database: Database, inserts: MessageInserts, are_settled: bool
) -> None:
    first = [NewMessage(1, 2, "Hello", client_ref="a"), NewMessage(2, 1, "Hello"), NewMessage(1, 2, "Still there?")]
    if are_settled:
        await inserts.insert_many(first)
    else:
        await inserts.insert_many(first[:1])
    warn = "INSERT INTO sanctions (kind, user_id, by_id, reason) VALUES ('warning', 1, 3, 'spam')"
    await database.execute(Statement("", warn))
    before = await count(database)
    batch = [NewMessage(1, 2, "once more"), NewMessage(2, 1, "an answer"), NewMessage(1, 2, "Hello", client_ref="a")]
    refused, answer, repeated = await inserts.insert_many(batch)
    assert type(refused) is UnreadWarning
    assert stored(answer).text == "an answer"
    # What was stored before the warning is answered as before, and shown to nobody once more.
    assert stored(repeated).only_for_sender
    assert await count(database) == before + 1
    await database.execute(Statement("", "UPDATE sanctions SET read_at = now()"))
    assert [stored(one).text for one in await inserts.insert_many(batch[:1])] == ["once more"]


async def test_an_empty_batch_has_no_answers(inserts: MessageInserts) -> None:
    assert await inserts.insert_many([]) == []


async def test_a_client_ref_stands_for_one_message_of_its_sender(database: Database, inserts: MessageInserts) -> None:
    batch = [
        NewMessage(1, 2, "first", client_ref="a"),
        NewMessage(1, 2, "again", client_ref="a"),
        NewMessage(2, 1, "another sender's", client_ref="a"),
        NewMessage(1, 2, "another reference", client_ref="b"),
    ]
    answers = [stored(answer) for answer in await inserts.insert_many(batch)]
    assert answers[1] == answers[0]
    assert len({answer.id for answer in answers}) == 3
    assert (await inserts.insert_many(batch))[:1] == answers[:1]
    assert await count(database) == 3


async def test_a_repeated_message_is_answered_with_the_first_one_although_the_recipient_is_gone(
    inserts: MessageInserts, users: UserRepository, blocks: BlockRepository
) -> None:
    new = NewMessage(1, 2, "first", client_ref="a")
    [first] = await inserts.insert_many([new])
    await blocks.block(2, 1)
    assert await inserts.insert_many([new]) == [first]
    await users.delete(2)
    assert await inserts.insert_many([new]) == [first]
    assert type((await inserts.insert_many([NewMessage(1, 2, "second", client_ref="b")]))[0]) is UnknownRecipient


async def test_concurrent_repeats_make_one_message(database: Database, inserts: MessageInserts) -> None:
    new = NewMessage(1, 2, "once", client_ref="race")
    answers = await asyncio.gather(*(inserts.insert_many([new, NewMessage(1, 3, "x")]) for _ in range(20)))
    assert len({stored(answer[0]).id for answer in answers}) == 1
    assert await count(database) == 21


async def test_no_message_appears_with_a_lower_id_than_one_that_was_read(
    messages: MessageRepository, inserts: MessageInserts, settings: Settings
) -> None:
    """A transaction that has inserted but not committed makes every other insert wait."""
    insert = "INSERT INTO messages (from_id, to_id, text) VALUES (1, 2, 'slow') RETURNING id"
    with closing(psycopg2.connect(settings.database_url)) as slow, slow.cursor() as cursor:
        cursor.execute(insert)
        slow_id = cursor.fetchone()[0]
        overtaking = asyncio.create_task(inserts.insert_many([NewMessage(1, 2, "quick")]))
        done, _ = await asyncio.wait([overtaking], timeout=0.2)
        assert not done
        assert await messages.after(2, 0, 10) == []
        slow.commit()
    [quick] = await overtaking
    assert stored(quick).id > slow_id
    assert [message.text for message in await messages.after(2, 0, 10)] == ["slow", "quick"]


async def test_reading_on_from_the_last_id_misses_no_message(
    messages: MessageRepository, inserts: MessageInserts
) -> None:
    async def write(sender: int) -> None:
        for number in range(30):
            await inserts.insert_many([NewMessage(sender, 9, str(number))] * (1 + number % 3))

    seen: list[Message] = []
    writing = [asyncio.create_task(write(sender)) for sender in range(1, 9)]
    while True:
        is_over = all(task.done() for task in writing)
        fresh = await messages.after(9, seen[-1].id if seen else 0, 7)
        seen += fresh
        if is_over and not fresh:
            break
    await asyncio.gather(*writing)
    assert len(seen) == 8 * 60
    assert len({message.id for message in seen}) == len(seen)


async def test_marking_read_affects_only_unread_messages_to_the_reader(
    messages: MessageRepository, inserts: MessageInserts, conversations: ConversationRepository
) -> None:
    ids = [
        stored(answer).id
        for answer in await inserts.insert_many(
            [NewMessage(1, 2, "a"), NewMessage(1, 2, "b"), NewMessage(2, 1, "c"), NewMessage(3, 2, "d")]
        )
    ]
    assert await messages.mark_read(2, 1, ids[0]) == (ids[0], True)
    assert [each.unread_count for each in await conversations.with_users(2, [1, 3], before_id=MAX_ID, limit=9)] == [
        1,
        1,
    ]
    # A later message must not count as read, so `up_to` is reduced to the last message of the two users.
    assert await messages.mark_read(2, 1, MAX_ID) == (ids[2], True)
    assert await messages.mark_read(1, 3, MAX_ID) is None
    [d, c] = await conversations.with_users(2, [1, 3], before_id=MAX_ID, limit=9)
    assert (d.user_id, d.unread_count) == (3, 1)
    assert (c.user_id, c.unread_count, c.last_message.text) == (1, 0, "c")


async def test_a_users_conversation_with_themselves_has_each_message_once(
    messages: MessageRepository, inserts: MessageInserts, conversations: ConversationRepository
) -> None:
    await inserts.insert_many([NewMessage(1, 1, "a"), NewMessage(1, 1, "b")])
    assert [message.text for message in await messages.after(1, 0, 10)] == ["a", "b"]
    assert [message.text for message in await messages.conversation(1, 1, before_id=MAX_ID, limit=10)] == ["b", "a"]
    assert len(await conversations.latest(1, before_id=MAX_ID, limit=10)) == 1


async def test_without_the_database_insert_many_raises_database_unavailable(
    inserts: MessageInserts, database: Database
) -> None:
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await inserts.insert_many([NewMessage(1, 2, "a")])


async def test_the_users_who_have_blocked_somebody_are_looked_up_together(blocks: BlockRepository) -> None:
    for blocked_id in (2, 3):
        await blocks.block(1, blocked_id)
    assert await blocks.blocked([1, 2, 3, 99]) == {1: frozenset({2, 3})}
