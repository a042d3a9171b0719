"""After a gap, connected clients get every message that their node missed, once, and no message is read twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from gateway.catch_up import MARGIN_SECONDS, CatchUp
from gateway.channel import Channel, JoinResult, Ok
from gateway.missed import MissedAlerts, MissedDeletions, MissedMessages
from gateway.runtime.endpoint import Endpoint
from shared.domain.alerts import AlertKind
from shared.domain.messages import Deletion, Message
from shared.events.alerts import alert_payload
from shared.events.messages import DELETED, SEND, deleted_payload, message_payload
from shared.postgres import DatabaseUnavailable
from shared.repositories.alerts import Alert
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
    endpoint = await start_node({"private_chat:*": Chat, "alerts:*": Chat})
    yield endpoint
    await endpoint.stop()


async def wait_for_runs(catch_up: CatchUp, runs: int) -> None:
    await until(lambda: catch_up.runs >= runs)


async def joined(node: Endpoint, user_id: int) -> Client:
    client = Client(node, user_id)
    await client.joins(f"private_chat:{user_id}")
    return client


async def test_missed_messages_are_sent_once_to_both_users(node: Endpoint) -> None:
    catch_up = CatchUp(
        node, MissedMessages(Stored(message(1, 7, 8), message(2, 8, 7), message(3, 7, 9), message(4, 7, 7)))
    )
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
    catch_up = CatchUp(node, MissedMessages(stored))
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
    catch_up = CatchUp(node, MissedMessages(stored))
    seven = await joined(node, 7)
    for seconds in (1.0, 60.0, 2.0):
        catch_up.gap(seconds)
    await wait_for_runs(catch_up, 1)
    [asked] = stored.asked
    # The gap includes the time in which the database was away.
    assert asked > 60 + MARGIN_SECONDS + 0.5
    assert [one.payload["id"] for one in seven.take()] == [1]
    await catch_up.stop()


async def test_a_broadcast_that_comes_after_its_message_was_read_is_sent_only_where_somebody_has_joined_since(
    node: Endpoint,
) -> None:
    """A process that is slow, or that was cut off, publishes what others have long read from Postgres."""
    catch_up = CatchUp(node, MissedMessages(Stored(message(1, 7, 8), message(2, 7, 8))))
    seven, eight = await joined(node, 7), await joined(node, 8)
    catch_up.gap(1)
    await wait_for_runs(catch_up, 1)
    assert [one.payload["id"] for one in seven.take()] == [one.payload["id"] for one in eight.take()] == [1, 2]
    later = await joined(node, 8)
    for number in (1, 2, 3):
        node.broadcast_to_all(["private_chat:7", "private_chat:8"], SEND, message_payload(message(number, 7, 8)))
    assert [one.payload["id"] for one in seven.take()] == [3]
    assert [one.payload["id"] for one in later.take()] == [1, 2, 3]
    await catch_up.stop()


class StoredDeletions:
    """Stands for Postgres: messages were deleted in another order than they were sent."""

    def __init__(self) -> None:
        sides = [(9, 7, 8), (3, 8, 7), (5, 7, 9), (4, 7, None)]
        self.deletions = [
            Deletion(message_id, from_id, to_id, datetime.now(UTC), number)
            for number, (message_id, from_id, to_id) in enumerate(sides, 1)
        ]

    async def last_deletion_before(self, seconds: float) -> int:
        return 0

    async def deletions_after(self, user_ids: Sequence[int], number: int, limit: int) -> list[Deletion]:
        wanted = [one for one in self.deletions if {one.from_id, one.to_id} & set(user_ids) and one.number > number]
        return wanted[:1]


async def test_missed_deletions_are_sent_once_to_those_who_had_the_message(
    node: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.catch_up.PAGE", 1)
    stored = StoredDeletions()
    catch_up = CatchUp(node, MissedMessages(Stored()), MissedDeletions(stored))
    seven, eight = await joined(node, 7), await joined(node, 8)
    # That a message was delivered does not mean that its deletion was.
    node.broadcast("private_chat:7", SEND, message_payload(message(9, 7, 8)))
    node.broadcast("private_chat:7", DELETED, deleted_payload(stored.deletions[2]))
    seven.take()
    catch_up.gap(1)
    await wait_for_runs(catch_up, 1)
    # The recipient of the last one never had it.
    assert [(one.event, one.payload["id"]) for one in seven.take()] == [(DELETED, 9), (DELETED, 3), (DELETED, 4)]
    assert [(one.event, one.payload["id"]) for one in eight.take()] == [(DELETED, 9), (DELETED, 3)]
    catch_up.gap(1)
    await wait_for_runs(catch_up, 2)
    assert seven.take() == eight.take() == []
    await catch_up.stop()


class StoredAlerts:
    """Stands for Postgres, with an alert of each kind for each of two users."""

    def __init__(self) -> None:
        self.alerts = [
            Alert(number, 7 + number % 2, kind, f'{{"id":{number},"kind":"{kind.value}"}}')
            for number, kind in enumerate([kind for kind in AlertKind for _ in range(2)], 1)
        ]

    async def last_id_before(self, seconds: float) -> int:
        return 0

    async def of_users_after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Alert]:
        return [one for one in self.alerts if one.user_id in user_ids and one.id > after_id][:limit]


async def test_missed_alerts_are_sent_once_to_their_user_and_no_message_takes_their_place(node: Endpoint) -> None:
    stored = StoredAlerts()
    catch_up = CatchUp(node, MissedMessages(Stored(message(3, 7, 9), message(4, 9, 7))), MissedAlerts(stored))
    seven = Client(node, 7)
    await seven.joins("alerts:7")
    await seven.joins("private_chat:7", join_ref="j2")
    heard = stored.alerts[1]
    node.broadcast("alerts:7", heard.kind.value, alert_payload(heard.json))
    node.broadcast("private_chat:7", SEND, message_payload(message(3, 7, 9)))
    seven.take()
    catch_up.gap(1)
    await wait_for_runs(catch_up, 1)
    got = [(one.topic, one.event, one.payload["id"]) for one in seven.take()]
    assert got == [
        ("private_chat:7", "send", 4),
        ("alerts:7", "price_drop", 4),
        ("alerts:7", "sold", 6),
        ("alerts:7", "removed", 8),
        ("alerts:7", "ended", 10),
        ("alerts:7", "ends", 12),
        ("alerts:7", "reply", 14),
    ]
    catch_up.gap(1)
    await wait_for_runs(catch_up, 2)
    assert seven.take() == []
    await catch_up.stop()
