"""Who may write to whom, and what is a request: each batch of messages stored as if its messages came one by one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from shared.domain.messages import Blocked, Blocking, Decision, Message, MessageRefused, NewMessage, NoRequests
from shared.postgres import Database, Statement
from shared.repositories.blocks import BlockRepository
from shared.repositories.contacts import ContactRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.messages import MessageRepository

ANN, BOB, CAT = 1, 2, 3
PEOPLE = (ANN, BOB, CAT)


@pytest.fixture
def contacts(database: Database) -> ContactRepository:
    return ContactRepository(database)


@pytest.fixture
async def listings(owner: Database, database: Database) -> dict[int, int]:
    """A listing of each person, by the person's id."""
    await owner.execute(Statement("", "INSERT INTO categories (id, name) VALUES (1, 'Cars')"))
    await owner.execute(
        Statement(
            "",
            """INSERT INTO listings (id, seller_id, category_id, title, content)
               SELECT 10 + n, n, 1, 'Car', 'Good' FROM generate_series(1, 3) AS n""",
        )
    )
    return {person: 10 + person for person in PEOPLE}


async def send(inserts: MessageInserts, *batch: NewMessage) -> list[str]:
    """Store the batch. Returns what became of each message."""
    return [became(answer) for answer in await inserts.insert_many(batch)]


def became(answer: Message | MessageRefused) -> str:
    if isinstance(answer, Message):
        return "".join(("request" if answer.is_request else "sent", " declined" if answer.is_declined else ""))
    return answer.reason


def hi(from_id: int, to_id: int, listing_id: int | None = None) -> NewMessage:
    return NewMessage(from_id, to_id, "Hi", listing_id)


async def test_a_stranger_makes_requests_until_they_are_answered(inserts: MessageInserts) -> None:
    assert await send(inserts, hi(ANN, BOB)) == ["request"]
    assert await send(inserts, hi(ANN, BOB), hi(ANN, BOB)) == ["request", "request"]
    assert await send(inserts, hi(BOB, ANN)) == ["sent"]
    assert await send(inserts, hi(ANN, BOB), hi(BOB, ANN)) == ["sent", "sent"]


async def test_who_names_a_listing_of_the_recipient_makes_no_request_then_or_later(
    inserts: MessageInserts, listings: dict[int, int]
) -> None:
    assert await send(inserts, hi(ANN, BOB, listings[BOB])) == ["sent"]
    assert await send(inserts, hi(ANN, BOB)) == ["sent"]
    assert await send(inserts, hi(BOB, ANN)) == ["sent"]


@pytest.mark.parametrize("whose", [ANN, CAT])
async def test_a_listing_of_somebody_else_does_not_open_an_inbox(
    inserts: MessageInserts, listings: dict[int, int], whose: int
) -> None:
    assert await send(inserts, hi(ANN, BOB, listings[whose])) == ["request"]


async def test_an_open_request_that_then_names_a_listing_is_accepted(
    inserts: MessageInserts, listings: dict[int, int]
) -> None:
    assert await send(inserts, hi(ANN, BOB)) == ["request"]
    assert await send(inserts, hi(ANN, BOB, listings[BOB]), hi(ANN, BOB)) == ["sent", "sent"]


async def test_notes_to_oneself_are_no_requests(inserts: MessageInserts, database: Database) -> None:
    assert await send(inserts, hi(ANN, ANN)) == ["sent"]
    assert await database.fetch(Statement("", "SELECT FROM contacts")) == []


async def test_who_is_declined_is_answered_as_before_and_an_answer_takes_it_back(
    inserts: MessageInserts, contacts: ContactRepository, listings: dict[int, int]
) -> None:
    assert await send(inserts, hi(ANN, BOB)) == ["request"]
    await contacts.decide(BOB, ANN, Decision.DECLINED)
    # What Ann sees is the same as if Bob had not declined: a listing is named, and then she makes no requests any more.
    assert await send(inserts, hi(ANN, BOB)) == ["request declined"]
    assert await send(inserts, hi(ANN, BOB, listings[BOB])) == ["sent declined"]
    assert await send(inserts, hi(ANN, BOB)) == ["sent declined"]
    assert await send(inserts, hi(ANN, BOB), hi(BOB, ANN), hi(ANN, BOB)) == ["sent declined", "sent", "sent"]


async def test_what_is_written_to_somebody_declined_reaches_nobodys_devices_but_the_senders(
    messages: MessageRepository, inserts: MessageInserts, contacts: ContactRepository
) -> None:
    await send(inserts, hi(ANN, BOB))
    await contacts.decide(BOB, ANN, Decision.DECLINED)
    await send(inserts, hi(ANN, BOB))
    ids = [message.id for message in await messages.after(ANN, 0, 10)]
    for after_id in (0, *ids):
        caught_up = await messages.catch_ups([(ANN, after_id), (BOB, after_id)], limit=10, overlap_seconds=60)
        assert [one.id for one in caught_up[ANN, after_id].messages] == ids
        assert [one.id for one in caught_up[BOB, after_id].messages] == ids[:1]
    assert [one.id for one in await messages.after(BOB, 0, 10)] == ids[:1]
    assert [one.is_told for one in await messages.of_users_after([ANN, BOB], 0, 10)] == [True, False]
    # Bob reads them in the conversation.
    assert len(await messages.conversation(BOB, ANN, before_id=2**62, limit=10)) == 2


async def test_who_takes_no_requests_still_gets_answers_and_questions_about_listings(
    inserts: MessageInserts, database: Database, listings: dict[int, int]
) -> None:
    assert await send(inserts, hi(CAT, BOB)) == ["request"]
    await database.execute(Statement("", f"UPDATE users SET takes_requests = false WHERE id = {BOB}"))
    assert await send(inserts, hi(ANN, BOB), hi(CAT, BOB)) == [NoRequests.reason] * 2
    assert await send(inserts, hi(ANN, BOB), hi(ANN, BOB, listings[BOB])) == [NoRequests.reason, "sent"]
    assert await send(inserts, hi(BOB, CAT), hi(CAT, BOB)) == ["sent", "sent"]
    await database.execute(Statement("", f"UPDATE users SET takes_requests = true WHERE id = {BOB}"))


@pytest.mark.parametrize("answered", [True, False])
async def test_conversations_from_before_there_were_requests_have_none(
    inserts: MessageInserts, database: Database, answered: bool
) -> None:
    await send(inserts, hi(ANN, BOB), *[hi(BOB, ANN)] * answered)
    await database.execute(Statement("", "UPDATE messages SET is_request = false"))
    await database.execute(Statement("", "DELETE FROM contacts"))
    assert await send(inserts, hi(ANN, BOB)) == ["sent"]
    assert await send(inserts, hi(ANN, BOB), hi(BOB, ANN)) == ["sent", "sent"]


@pytest.mark.parametrize("first", [[], [hi(ANN, BOB)], [hi(ANN, BOB), hi(BOB, ANN)]])
async def test_a_block_refuses_both_and_its_end_restores_what_was(
    inserts: MessageInserts, blocks: BlockRepository, first: list[NewMessage]
) -> None:
    await send(inserts, *first)
    before = await send(inserts, hi(BOB, CAT))
    await blocks.block(BOB, ANN)
    assert await send(inserts, hi(ANN, BOB), hi(BOB, ANN)) == [Blocked.reason, Blocking.reason]
    await blocks.block(ANN, BOB)
    assert await send(inserts, hi(ANN, BOB), hi(BOB, ANN)) == [Blocking.reason] * 2
    await blocks.unblock(BOB, ANN)
    assert await send(inserts, hi(ANN, BOB), hi(BOB, ANN)) == [Blocking.reason, Blocked.reason]
    await blocks.unblock(ANN, BOB)
    assert await send(inserts, hi(ANN, BOB)) == ["sent" if len(first) == 2 else "request"]
    assert await send(inserts, hi(BOB, ANN), hi(ANN, BOB)) == ["sent", "sent"]
    assert before == ["request"]


@dataclass
class Model:
    """The same rules, for one message after the other."""

    takes: dict[int, bool]
    blocks: set[tuple[int, int]]
    state: dict[tuple[int, int], str] = field(default_factory=dict)
    seems: set[tuple[int, int]] = field(default_factory=set)
    wrote: set[tuple[int, int]] = field(default_factory=set)

    def send(self, new: NewMessage, *, is_about: bool) -> str:
        there, back = (new.to_id, new.from_id), (new.from_id, new.to_id)
        if new.to_id == new.from_id:
            return "sent"
        if back in self.blocks:
            return Blocking.reason
        if there in self.blocks:
            return Blocked.reason
        is_request = there not in self.seems and not is_about
        if is_request and not self.takes[new.to_id]:
            return NoRequests.reason
        is_declined = self.state.get(there) == "declined"
        if is_about:
            self.seems.add(there)
        if not is_declined:
            is_accepted = is_about or self.state.get(there) == "accepted"
            self.state[there] = "accepted" if is_accepted else "open"
        self.state[back] = "accepted"
        self.seems.add(back)
        self.wrote.add(back)
        return ("request" if is_request else "sent") + (" declined" if is_declined else "")


@pytest.mark.parametrize("seed", range(6))
async def test_messages_of_one_batch_behave_like_batches_of_one_message(
    inserts: MessageInserts,
    blocks: BlockRepository,
    contacts: ContactRepository,
    database: Database,
    listings: dict[int, int],
    seed: int,
) -> None:
    chance = random.Random(seed)
    model = Model(dict.fromkeys(PEOPLE, True), set())
    for _ in range(40):
        for person in PEOPLE:
            if chance.random() < 0.1:
                model.takes[person] = chance.random() < 0.5
                sql = "UPDATE users SET takes_requests = %s WHERE id = %s"
                await database.execute(Statement("", sql), model.takes[person], person)
        one, other = chance.sample(PEOPLE, 2)
        match chance.randrange(8):
            case 0 if chance.random() < 0.3:
                await blocks.block(one, other)
                model.blocks.add((one, other))
            case 1 | 2 if model.blocks:
                pair = chance.choice(sorted(model.blocks))
                await blocks.unblock(*pair)
                model.blocks.remove(pair)
            case 3 if (other, one) in model.wrote:
                await contacts.decide(one, other, Decision.DECLINED)
                model.state[one, other] = "declined"
            case 4:
                # As if the two had never met.
                await database.execute(Statement("", "DELETE FROM contacts WHERE %s IN (user_id, other_id)"), one)
                sql = "UPDATE messages SET from_id = 9, to_id = 9 WHERE %s IN (from_id, to_id)"
                await database.execute(Statement("", sql), one)
                for pair in [pair for pair in model.state if one in pair]:
                    del model.state[pair]
                    model.seems.discard(pair)
                    model.wrote.discard(pair)
        batch = []
        for _ in range(chance.choice([1, 2, 3, 6])):
            from_id, to_id = chance.choice(PEOPLE), chance.choice(PEOPLE)
            batch.append(hi(from_id, to_id, listings[to_id] if chance.random() < 0.1 else None))
        expected = [model.send(new, is_about=new.listing_id is not None) for new in batch]
        assert await send(inserts, *batch) == expected
        rows = await database.fetch(Statement("", "SELECT user_id, other_id, state FROM contacts"))
        assert {(row[0], row[1]): row[2] for row in rows} == model.state


async def test_people_are_in_touch_once_both_have_written_or_accepted(
    inserts: MessageInserts,
    contacts: ContactRepository,
    blocks: BlockRepository,
    listings: dict[int, int],
    database: Database,
) -> None:
    async def in_touch(one: int, other: int) -> bool:
        found = await contacts.are_in_touch(one, other)
        assert await contacts.are_in_touch(other, one) == found
        return found

    # A stranger has written nothing, or a request that waits.
    assert not await in_touch(ANN, BOB)
    await send(inserts, hi(ANN, BOB))
    assert not await in_touch(ANN, BOB)
    await send(inserts, hi(BOB, ANN))
    assert await in_touch(ANN, BOB)
    await blocks.block(BOB, ANN)
    assert not await in_touch(ANN, BOB)
    await send(inserts, hi(ANN, CAT, listings[CAT]))
    assert await in_touch(ANN, CAT)
    # People who wrote to each other before there were requests have none.
    await send(inserts, hi(CAT, BOB))
    await database.execute(Statement("", "DELETE FROM contacts"))
    assert await in_touch(CAT, BOB)
