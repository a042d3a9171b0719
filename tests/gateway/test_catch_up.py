"""After a gap, connected clients get every message that their node missed, once, and no message is read twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from gateway.catch_up import MARGIN_SECONDS, CatchUp
from gateway.channel import Channel, JoinResult, Ok
from gateway.runtime.endpoint import Endpoint
from shared.domain.messages import Message
from shared.events.messages import SEND, message_payload
from shared.postgres import DatabaseUnavailable
from tests.gateway.nodes import Client, start_node
from tests.support.waiting import until


class Chat(Channel):
    async def join(self, topic: str, params: object) -> JoinResult:
        return Ok()


def message(number: int, from_id: int, to_id: int) -> Message:
    return Message(number, from_id, to_id, f"text {number}", None, datetime.now(UTC), None)


class Stored:
    """Stands for Postgres: records the gaps that it is asked for, and fails the next `away` times."""

    def __init__(self, *messages: Message) -> None:
        self.messages = messages
        self.asked: list[float] = []
        self.away = 0

    async def last_id_before(self, seconds: float) -> int:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable("away")
        self.asked.append(seconds)
        return 0

    async def of_users_after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Message]:
        wanted = [one for one in self.messages if {one.from_id, one.to_id} & set(user_ids) and one.id > after_id]
        return wanted[:limit]


@pytest.fixture
async def node() -> AsyncIterator[Endpoint]:
    endpoint = await start_node({"private_chat:*": Chat})
    yield endpoint
    await endpoint.stop()


async def wait_for_runs(catch_up: CatchUp, runs: int) -> None:
    await until(lambda: catch_up.runs >= runs)


async def joined(node: Endpoint, user_id: int) -> Client:
    client = Client(node, user_id)
    await client.joins(f"private_chat:{user_id}")
    return client


async def test_missed_messages_are_sent_once_to_both_users(node: Endpoint) -> None:
    catch_up = CatchUp(node, Stored(message(1, 7, 8), message(2, 8, 7), message(3, 7, 9), message(4, 7, 7)))
    seven, eight = await joined(node, 7), await joined(node, 8)
    node.broadcast("private_chat:7", SEND, message_payload(message(2, 8, 7)))
    seven.take()
    catch_up.gap(1)
    await wait_for_runs(catch_up, 1)
    assert [one.payload["id"] for one in seven.take()] == [1, 3, 4]
    assert [one.payload["id"] for one in eight.take()] == [1, 2]
    catch_up.gap(1)
    await wait_for_runs(catch_up, 2)
    assert seven.take() == eight.take() == []
    await catch_up.stop()


async def test_a_gap_that_goes_on_is_read_from_where_the_last_run_ended(node: Endpoint) -> None:
    stored = Stored()
    catch_up = CatchUp(node, stored)
    await joined(node, 7)
    for runs, seconds in enumerate((100.0, 3.0, 90.0, 500.0, 450.0), 1):
        catch_up.gap(seconds)
        await wait_for_runs(catch_up, runs)
    read = [round(seconds - MARGIN_SECONDS) for seconds in stored.asked]
    # A gap that begins earlier than everything read so far is read from its beginning.
    assert read == [100, 0, 0, 500, 0]
    await catch_up.stop()


async def test_waiting_gaps_are_read_together_when_the_database_is_back(node: Endpoint) -> None:
    stored = Stored(message(1, 7, 8))
    stored.away = 1
    catch_up = CatchUp(node, stored)
    seven = await joined(node, 7)
    for seconds in (1.0, 60.0, 2.0):
        catch_up.gap(seconds)
    await wait_for_runs(catch_up, 1)
    [asked] = stored.asked
    # The gap includes the time in which the database was away.
    assert asked > 60 + MARGIN_SECONDS + 0.5
    assert [one.payload["id"] for one in seven.take()] == [1]
    await catch_up.stop()
