"""Tests batches of messages: which messages share one, what each sender gets, and what happens when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.domain.messages import Blocked, Message, MessageRefused, NewMessage
from shared.postgres import DatabaseUnavailable
from shared.repositories.message_writer import MessageWriter
from tests.support.virtual_time import in_virtual_time


class SlowInserter:
    """Stands for the repository: records each batch, and waits until the test lets it insert."""

    def __init__(self) -> None:
        self.stored = 0
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


async def test_messages_sent_during_a_batch_form_the_next_ones() -> None:
    slow = SlowInserter()
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


async def test_a_refusal_reaches_only_its_sender() -> None:
    slow = SlowInserter()
    slow.let.release()
    writer = MessageWriter(slow, max_batch=10, max_waiting=100)
    texts = ["1", "blocked", "3"]
    answers = await asyncio.gather(*(writer.send(new(text)) for text in texts), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Message, Blocked, Message]


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), ValueError("a mistake of ours")])
async def test_a_failed_batch_fails_all_its_senders_and_the_next_one_works(failure: Exception) -> None:
    slow = SlowInserter()
    slow.failure = failure
    writer = MessageWriter(slow, max_batch=10, max_waiting=100, pause_seconds=0)
    slow.let.release()
    answers = await asyncio.gather(*(writer.send(new(str(number))) for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(failure)] * 3
    slow.failure = None
    slow.let.release()
    assert (await writer.send(new("7"))).id == 7


async def test_no_sender_waits_for_more_than_one_failed_batch() -> None:
    slow = SlowInserter()
    slow.failure = DatabaseUnavailable("away")
    writer = MessageWriter(slow, max_batch=1, max_waiting=100)
    sends = [asyncio.create_task(writer.send(new(str(number)))) for number in range(5)]
    slow.let.release()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 5
    assert slow.batches == [["0"]]


@in_virtual_time
async def test_a_send_right_after_a_failed_batch_fails_at_once() -> None:
    slow = SlowInserter()
    slow.failure = DatabaseUnavailable("away")
    slow.let.release()
    writer = MessageWriter(slow, max_batch=1, max_waiting=100, pause_seconds=0.05)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await writer.send(new("0"))
    assert slow.batches == [["0"]]
    await asyncio.sleep(0.04)
    with pytest.raises(DatabaseUnavailable):
        await writer.send(new("0"))
    assert slow.batches == [["0"]]
    await asyncio.sleep(0.02)
    slow.failure = None
    slow.let.release()
    assert (await writer.send(new("7"))).id == 7


@in_virtual_time
async def test_a_batch_that_takes_too_long_fails() -> None:
    slow = SlowInserter()
    writer = MessageWriter(slow, max_batch=10, max_waiting=100, max_seconds=0.01, pause_seconds=0)
    with pytest.raises(DatabaseUnavailable):
        await writer.send(new("0"))
    slow.let.release()
    assert (await writer.send(new("7"))).id == 7


async def test_a_cancelled_sender_does_not_affect_its_batch() -> None:
    slow = SlowInserter()
    writer = MessageWriter(slow, max_batch=10, max_waiting=100)
    sends = [asyncio.create_task(writer.send(new(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sends[1].cancel()
    slow.let.release()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Message, asyncio.CancelledError, Message]
    assert slow.batches == [["0", "1", "2"]]


async def test_a_send_past_the_limit_of_waiting_messages_fails_at_once() -> None:
    slow = SlowInserter()
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


async def test_closing_waits_for_submitted_messages() -> None:
    slow = SlowInserter()
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
