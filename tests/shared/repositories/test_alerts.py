"""SQL about alerts: catching up, gaps between nodes, and who is shown what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.postgres import Database, Statement
from shared.repositories.alerts import AlertRepository

ANN, BOB = 4, 5


@pytest.fixture
async def alerts(database: Database) -> AlertRepository:
    sql = """INSERT INTO categories (name) VALUES ('Sedans');
        INSERT INTO listings (seller_id, category_id, title, content) VALUES (1, 1, 'A car', 'x'), (2, 1, 'Other', 'x');
        INSERT INTO saved_searches (user_id, name, query, words_at)
            VALUES (4, 'Mine', '{}', now()), (5, 'His', '{}', now())"""
    await database.execute(Statement("", sql))
    return AlertRepository(database)


async def tell(database: Database, *told: tuple[int, float]) -> None:
    """Add an alert for each user, with its age in seconds."""
    for user_id, age in told:
        sql = """INSERT INTO alerts (user_id, kind, listing_id, search_id, told_at)
            VALUES (%s, 'match', 1, %s, now() - %s * interval '1 second')"""
        await database.execute(Statement("", sql), user_id, user_id - ANN + 1, age)


async def caught_up(alerts: AlertRepository, user_id: int, after_id: int, limit: int = 10) -> tuple[list[int], bool]:
    [found] = (await alerts.catch_ups([(user_id, after_id)], limit=limit, overlap_seconds=60)).values()
    return [one.id for one in found.alerts], found.is_complete


async def test_catching_up_repeats_a_little_and_says_whether_it_is_complete(
    database: Database, alerts: AlertRepository
) -> None:
    await tell(database, (ANN, 500), (ANN, 50), (BOB, 45), (ANN, 40), (ANN, 30), (ANN, 20), (ANN, 10))
    assert await caught_up(alerts, ANN, 0) == ([1, 2, 4, 5, 6, 7], True)
    # The last one that the client has is 4: the others of the minute before it come again.
    assert await caught_up(alerts, ANN, 4) == ([2, 4, 5, 6, 7], True)
    assert await caught_up(alerts, ANN, 4, limit=3) == ([4, 5, 6], False)
    assert await caught_up(alerts, ANN, 99) == ([2, 4, 5, 6, 7], True)
    assert await caught_up(alerts, BOB, 3) == ([3], True)
    both = await alerts.catch_ups([(ANN, 7), (BOB, 0), (9, 0)], limit=10, overlap_seconds=0)
    assert {pair: [one.id for one in found.alerts] for pair, found in both.items()} == {
        (ANN, 7): [],
        (BOB, 0): [3],
        (9, 0): [],
    }


async def test_a_gap_is_read_by_age_for_many_users(database: Database, alerts: AlertRepository) -> None:
    await tell(database, (ANN, 500), (BOB, 400), (ANN, 30), (BOB, 20))
    assert await alerts.last_id_before(100) == 2
    assert await alerts.last_id_before(1000) == 0
    assert [one.id for one in await alerts.of_users_after([ANN, BOB], 1, 2)] == [2, 3]
    assert [one.id for one in await alerts.of_users_after([BOB], 2, 9)] == [4]


async def test_an_alert_begins_with_its_id_by_which_a_node_remembers_it(
    database: Database, alerts: AlertRepository
) -> None:
    await tell(database, (ANN, 0))
    [alert] = await alerts.by_ids([1])
    assert alert.json.startswith('{"id":1,')
    decoded: Any = msgspec.json.decode(alert.json)
    assert (decoded["search"], decoded["listing"]["title"]) == ({"id": 1, "name": "Mine"}, "A car")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE listings SET hidden_at = now()",
        "UPDATE listings SET trashed_at = now()",
        "UPDATE categories SET deleted_at = now()",
        "UPDATE users SET banned_at = now() WHERE id = 1",
        "UPDATE users SET deleted_at = now() WHERE id = 1",
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES (1, 4)",
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES (4, 1)",
    ],
)
async def test_nothing_reads_or_counts_an_alert_of_a_listing_that_its_person_may_not_be_told_of(
    database: Database, alerts: AlertRepository, change: str
) -> None:
    await tell(database, (ANN, 0))
    assert await alerts.unseen(ANN) == 1
    await database.execute(Statement("", change))
    assert await alerts.by_ids([1]) == await alerts.latest(ANN, before_id=9, limit=9) == []
    assert await alerts.of_users_after([ANN], 0, 9) == []
    assert await caught_up(alerts, ANN, 0) == ([], True)
    assert await alerts.unseen(ANN) == 0
    await database.execute(Statement("", "UPDATE users SET role = 'moderator' WHERE id = 4"))
    is_for_moderators = "hidden_at" in change or "banned_at" in change
    assert await alerts.unseen(ANN) == int(is_for_moderators)
