"""The same text to many who have not answered: which messages are held, at any speed, and who sees nothing of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from shared.domain.ids import MAX_ID
from shared.domain.messages import Decision, Message, NewMessage
from shared.postgres import Database, Statement
from shared.repositories import message_inserts as module
from shared.repositories.blocks import BlockRepository
from shared.repositories.contacts import ContactRepository
from shared.repositories.conversations import ConversationRepository
from shared.repositories.holds import HoldRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.message_writer import MessageWriter
from shared.repositories.messages import MessageRepository
from shared.repositories.recent_texts import HoldLimits, Judged
from shared.settings import Settings
from tests.shared.repositories.test_requests import became, listings

__all__ = ["listings"]

LIMITS = HoldLimits(people=2, questions=4, seconds=3600.0)
SPAMMER = 1
OFFER = "Hello {}, I sell gold watches far below their price. Write to me, and I tell you more about this offer."
NAMES = ("Ann", "Bob", "Cat", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Joe")


@pytest.fixture
def inserts(database: Database) -> MessageInserts:
    return MessageInserts(database, LIMITS)


@pytest.fixture
async def other_processes(settings: Settings) -> AsyncIterator[list[MessageInserts]]:
    databases = [await Database.connect(settings) for _ in range(3)]
    yield [MessageInserts(one, LIMITS) for one in databases]
    for one in databases:
        await one.close()


def offer(to_id: int, from_id: int = SPAMMER, client_ref: str | None = None) -> NewMessage:
    return NewMessage(from_id, to_id, OFFER.format(NAMES[to_id - 1]), client_ref=client_ref)


async def send(inserts: MessageInserts, *batch: NewMessage) -> list[bool]:
    """Store the batch. Returns of each message whether it is held."""
    answers = await inserts.insert_many(batch)
    assert all(isinstance(answer, Message) for answer in answers), answers
    return [isinstance(answer, Message) and answer.is_held for answer in answers]


@pytest.mark.parametrize("together", [True, False])
async def test_a_text_that_was_sent_to_enough_people_is_held_for_the_next(
    inserts: MessageInserts, together: bool
) -> None:
    batch = [offer(to_id) for to_id in range(2, 8)]
    if together:
        held = await send(inserts, *batch)
    else:
        held = [(await send(inserts, one))[0] for one in batch]
    assert held == [False, False, True, True, True, True]
    # So is a repeat to somebody who has it already. Other texts are not held.
    assert await send(inserts, offer(2), NewMessage(SPAMMER, 5, "Is the tow bar removable, or has it to stay?")) == [
        True,
        False,
    ]


async def test_thirty_messages_at_once_through_several_processes_do_not_pass_together(
    messages: MessageRepository, other_processes: list[MessageInserts]
) -> None:
    writers = [MessageWriter(one, max_batch=2, max_waiting=100) for one in other_processes]
    sent = await asyncio.gather(*(writer.send(offer(to_id)) for to_id in range(2, 11) for writer in writers))
    assert len(sent) == 27
    delivered = {one.to_id for one in await messages.after(SPAMMER, 0, 100) if not one.is_held}
    assert len(delivered) == LIMITS.people


async def test_answers_and_notes_to_oneself_are_never_held(inserts: MessageInserts) -> None:
    for to_id in range(2, 8):
        await send(inserts, NewMessage(to_id, SPAMMER, f"Question {to_id} about something else: {NAMES[to_id]}?"))
    assert not any(await send(inserts, *(offer(to_id) for to_id in range(2, 8)), offer(SPAMMER)))


async def test_who_was_answered_does_not_count_any_more(inserts: MessageInserts) -> None:
    assert not any(await send(inserts, offer(2), offer(3)))
    await send(inserts, NewMessage(2, SPAMMER, "Yes, please."))
    assert await send(inserts, offer(4), offer(5)) == [False, True]


async def test_short_questions_and_those_about_the_recipients_listing_may_go_to_more(
    inserts: MessageInserts, listings: dict[int, int]
) -> None:
    question = "Is it still available?"
    assert await send(inserts, *(NewMessage(SPAMMER, to_id, question) for to_id in range(2, 8))) == [
        *[False] * 4,
        *[True] * 2,
    ]
    for to_id in range(4, 7):
        assert await send(inserts, offer(to_id, from_id=10)) == [to_id == 6]
    about = NewMessage(10, 2, OFFER.format("Bob"), listings[2])
    assert await send(inserts, about) == [False]
    assert await send(inserts, NewMessage(10, 3, OFFER.format("Cat"), listings[2])) == [True]


async def test_the_second_message_of_a_conversation_without_an_answer_is_compared_too(
    inserts: MessageInserts, listings: dict[int, int]
) -> None:
    firsts = [
        "Has your Camry had an accident in the last years?",
        "I am looking for a small car for my daughter, who has just got a licence.",
        "Do the winter tyres belong to it? The pictures show only the wheels.",
    ]
    for to_id, text in zip((2, 3, 9), firsts, strict=True):
        assert await send(inserts, NewMessage(SPAMMER, to_id, text, listings.get(to_id))) == [False]
    assert await send(inserts, offer(2), offer(3), offer(9)) == [False, False, True]


async def test_whoever_writes_much_to_one_person_is_not_compared(
    inserts: MessageInserts, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    async def count(*_: object) -> list[Judged]:
        nonlocal compared
        compared += 1
        return []

    monkeypatch.setattr(module, "judge", count)
    assert not any(await send(inserts, *(NewMessage(SPAMMER, 2, f"Hello? {OFFER}") for _ in range(30))))
    assert not any([(await send(inserts, offer(to_id)))[0] for to_id in (2, 2, 3, 3, 2)])
    assert not compared


async def test_an_hour_later_a_text_may_be_sent_again(inserts: MessageInserts, database: Database) -> None:
    assert await send(inserts, offer(2), offer(3), offer(4)) == [False, False, True]
    await database.execute(Statement("", "UPDATE recent_texts SET sent_at = sent_at - interval '61 minutes'"))
    assert await send(inserts, offer(5), offer(6), offer(7)) == [False, False, True]


async def test_deleting_messages_does_not_make_room_for_others(
    messages: MessageRepository, inserts: MessageInserts
) -> None:
    for answer in await inserts.insert_many([offer(2), offer(3)]):
        assert isinstance(answer, Message)
        await messages.delete(answer.id, by=SPAMMER)
    assert await send(inserts, offer(4)) == [True]


async def test_a_repeat_of_a_held_message_is_the_same_message(inserts: MessageInserts) -> None:
    await send(inserts, offer(2), offer(3))
    [first] = await inserts.insert_many([offer(4, client_ref="a")])
    assert isinstance(first, Message)
    assert first.is_held
    assert await inserts.insert_many([offer(4, client_ref="a")]) == [first]


async def test_a_recipient_sees_nothing_of_a_held_message(
    messages: MessageRepository,
    inserts: MessageInserts,
    conversations: ConversationRepository,
    contacts: ContactRepository,
    database: Database,
) -> None:
    await send(inserts, offer(2), offer(3), offer(4))
    [held] = [one for one in await messages.after(SPAMMER, 0, 10) if one.to_id == 4]
    assert held.is_held
    assert held.read_at is None
    assert await messages.after(4, 0, 10) == []
    assert [found.messages for found in (await messages.catch_ups([(4, 0)], limit=5, overlap_seconds=9)).values()] == [
        []
    ]
    assert await messages.conversation(4, SPAMMER, before_id=MAX_ID, limit=5) == []
    assert await messages.conversation(SPAMMER, 4, before_id=MAX_ID, limit=5) == [held]
    assert await conversations.latest(4, before_id=MAX_ID, limit=5) == []
    assert await conversations.by_user(4, after_id=0, limit=5) == []
    assert await conversations.with_users(4, [SPAMMER], before_id=MAX_ID, limit=5) == []
    assert [one.user_id for one in await conversations.latest(SPAMMER, before_id=MAX_ID, limit=5)] == [4, 3, 2]
    assert await messages.mark_read(4, SPAMMER, MAX_ID) is None
    # Nor is the recipient told what its sender has read.
    assert await messages.mark_read(SPAMMER, 4, MAX_ID) is None
    assert await database.fetch(Statement("", "SELECT FROM contacts WHERE 4 IN (user_id, other_id)")) == []
    assert not await contacts.are_in_touch(SPAMMER, 4)
    # What the recipient then writes is a request, as it would be otherwise.
    [answer] = await inserts.insert_many([NewMessage(4, SPAMMER, "Who are you?")])
    assert became(answer) == "request"
    assert (await conversations.latest(4, before_id=MAX_ID, limit=5))[0].unread_count == 0


async def test_nothing_is_delivered_of_whoever_has_an_unread_warning(
    inserts: MessageInserts, database: Database
) -> None:
    await send(inserts, offer(2), offer(3), offer(4))
    await database.execute(Statement("", "UPDATE held_messages SET may_go = true"))
    warn = "INSERT INTO sanctions (kind, user_id, by_id, reason) VALUES ('warning', 1, 3, 'spam')"
    await database.execute(Statement("", warn))
    for seconds in (0.0, 1000.0):
        assert await HoldRepository(database).due(seconds, 10) == []
    await database.execute(Statement("", "UPDATE sanctions SET read_at = now()"))
    assert len(await HoldRepository(database).due(1000.0, 10)) == 1


@pytest.fixture
def contacts(database: Database) -> ContactRepository:
    return ContactRepository(database)


async def test_rows_of_earlier_versions_do_not_say_who_answered_and_are_mended(
    inserts: MessageInserts, database: Database
) -> None:
    await send(inserts, offer(2), NewMessage(2, SPAMMER, "Hi"), offer(3), NewMessage(3, SPAMMER, "Hi"))
    await database.execute(Statement("", "UPDATE contacts SET has_written = false, is_settled = true"))
    assert not any(await send(inserts, offer(2), offer(3)))
    rows = await database.fetch(Statement("", "SELECT has_written, is_settled FROM contacts"))
    assert rows == [(True, True)] * 4


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_held_of_a_batch_is_what_would_be_held_one_by_one(
    inserts: MessageInserts, blocks: BlockRepository, contacts: ContactRepository, database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    texts = [OFFER, "Yes, {}, please call again tomorrow afternoon about the green car that you have seen here.", "Ok"]
    people = range(1, 11)
    wrote: set[tuple[int, int]] = set()
    sent: list[tuple[int, int, str]] = []
    blocked: set[tuple[int, int]] = set()
    some_held = 0
    for _ in range(25):
        one, other = chance.sample(people, 2)
        match chance.randrange(12):
            case 0:
                await blocks.block(one, other)
                blocked |= {(one, other)}
            case 1 if (other, one) in wrote:
                await contacts.decide(one, other, Decision.DECLINED)
        batch = []
        expected: list[bool | None] = []
        for _ in range(chance.choice([1, 3, 8])):
            # Three write to everybody, and the others write rarely.
            from_id = chance.choice([1, 2, 3] * 8 + [*people])
            text, to_id = chance.choice(texts), chance.choice(people)
            batch.append(NewMessage(from_id, to_id, text.format(NAMES[to_id - 1])))
            if {(from_id, to_id), (to_id, from_id)} & blocked:
                expected.append(None)
                continue
            is_answered = (to_id, from_id) in wrote or from_id == to_id
            alike = {
                to
                for by, to, as_text in sent
                if by == from_id and as_text == text and to != to_id and (to, by) not in wrote
            }
            is_held = not is_answered and len(alike) >= (LIMITS.questions if text == "Ok" else LIMITS.people)
            if not is_answered:
                sent.append((from_id, to_id, text))
            if not is_held:
                wrote.add((from_id, to_id))
            some_held += is_held
            expected.append(is_held)
        answers = await inserts.insert_many(batch)
        assert [answer.is_held if isinstance(answer, Message) else None for answer in answers] == expected
    assert some_held
