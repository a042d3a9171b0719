"""Batches of messages: which messages share one, the answer to each, and senders that cannot harm each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.domain.messages import Blocked, Message, MessageRefused, NewMessage
from shared.postgres import DatabaseUnavailable
from shared.repositories.message_writer import MessageWriter


class Slow:
    """An inserter that waits until the test lets it write."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.let = asyncio.Semaphore(0)
        self.failure: Exception | None = None

    async def insert_many(self, batch: Sequence[NewMessage]) -> list[Message | MessageRefused]:
        self.batches.append([new.text for new in batch])
        await self.let.acquire()
        if self.failure:
            raise self.failure
        return [Blocked() if new.text == "blocked" else _message(new) for new in batch]


def _message(new: NewMessage) -> Message:
    return Message(int(new.text), new.from_id, new.to_id, new.text, None, datetime.now(UTC))


def new(text: str) -> NewMessage:
    return NewMessage(1, 2, text)


async def test_what_comes_while_a_batch_is_written_makes_the_next_one() -> None:
    slow = Slow()
    writer = MessageWriter(slow, max_batch=3, max_waiting=100)
    sends = [asyncio.create_task(writer.send(new("0")))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert slow.batches == [["0"]]
    sends += [asyncio.create_task(writer.send(new(str(number)))) for number in range(1, 6)]
    await asyncio.sleep(0)
    for _ in range(3):
        slow.let.release()
    messages = await asyncio.gather(*sends)
    assert [message.id for message in messages] == [0, 1, 2, 3, 4, 5]
    assert slow.batches == [["0"], ["1", "2", "3"], ["4", "5"]]
    assert writer.waiting == 0


async def test_a_refusal_concerns_its_sender_only() -> None:
    slow = Slow()
    slow.let.release()
    writer = MessageWriter(slow, max_batch=10, max_waiting=100)
    texts = ["1", "blocked", "3"]
    answers = await asyncio.gather(*(writer.send(new(text)) for text in texts), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Message, Blocked, Message]


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), ValueError("a mistake of ours")])
async def test_a_batch_that_fails_is_told_to_all_of_it_and_the_next_goes_on(failure: Exception) -> None:
    slow = Slow()
    slow.failure = failure
    writer = MessageWriter(slow, max_batch=10, max_waiting=100, pause_seconds=0)
    slow.let.release()
    answers = await asyncio.gather(*(writer.send(new(str(number))) for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(failure)] * 3
    slow.failure = None
    slow.let.release()
    assert (await writer.send(new("7"))).id == 7


async def test_while_the_database_is_away_nobody_waits_for_more_than_one_batch() -> None:
    slow = Slow()
    slow.failure = DatabaseUnavailable("away")
    writer = MessageWriter(slow, max_batch=1, max_waiting=100)
    sends = [asyncio.create_task(writer.send(new(str(number)))) for number in range(5)]
    slow.let.release()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 5
    assert slow.batches == [["0"]]


async def test_what_comes_right_after_a_failure_is_told_at_once() -> None:
    slow = Slow()
    slow.failure = DatabaseUnavailable("away")
    slow.let.release()
    writer = MessageWriter(slow, max_batch=1, max_waiting=100, pause_seconds=0.05)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await writer.send(new("0"))
    assert slow.batches == [["0"]]
    await asyncio.sleep(0.06)
    slow.failure = None
    slow.let.release()
    assert (await writer.send(new("7"))).id == 7


async def test_a_batch_that_takes_too_long_is_given_up() -> None:
    slow = Slow()
    writer = MessageWriter(slow, max_batch=10, max_waiting=100, max_seconds=0.01, pause_seconds=0)
    with pytest.raises(DatabaseUnavailable):
        await writer.send(new("0"))
    slow.let.release()
    assert (await writer.send(new("7"))).id == 7


async def test_a_caller_that_goes_away_harms_nobody() -> None:
    slow = Slow()
    writer = MessageWriter(slow, max_batch=10, max_waiting=100)
    sends = [asyncio.create_task(writer.send(new(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sends[1].cancel()
    slow.let.release()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Message, asyncio.CancelledError, Message]
    assert slow.batches == [["0", "1", "2"]]


async def test_past_the_bound_senders_are_told_at_once() -> None:
    slow = Slow()
    writer = MessageWriter(slow, max_batch=1, max_waiting=2)
    first = asyncio.create_task(writer.send(new("0")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(writer.send(new(str(number)))) for number in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await writer.send(new("3"))
    for _ in range(3):
        slow.let.release()
    assert [message.id for message in await asyncio.gather(first, *waiting)] == [0, 1, 2]


async def test_closing_waits_for_what_was_submitted() -> None:
    slow = Slow()
    writer = MessageWriter(slow, max_batch=1, max_waiting=10)
    sends = [asyncio.create_task(writer.send(new(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    assert not closing.done()
    for _ in range(3):
        slow.let.release()
    await closing
    assert [message.id for message in await asyncio.gather(*sends)] == [0, 1, 2]
    assert slow.batches == [["0"], ["1"], ["2"]]
