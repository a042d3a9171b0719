"""What the moderators' queue costs does not grow with what nobody reported, nor with what was closed long ago."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.moderation import GroupSubject, SubjectKind
from shared.postgres import Database, Statement
from shared.postgres.statement import array
from shared.repositories.moderation_queue import ModerationQueue
from shared.repositories.queue_weights import QueueWeights
from shared.repositories.reports import ReportRepository
from shared.settings import Settings
from tests.support.roles import as_owner

PEOPLE = 1_000
OPEN, CLOSED = 2_000, 8_000
GROUPS = PEOPLE
"""Of half of the people a listing is reported, and the other half themselves."""
PAGE = 21
MODERATOR = 1
FILL = f"""
INSERT INTO users (email, name, password_hash)
    SELECT n || '@many.example', 'Somebody', '-' FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO categories (id, name) VALUES (1, 'Cars');
INSERT INTO listings (id, seller_id, category_id, title, content)
    SELECT n, 10 + n, 1, 'Car', 'Good' FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO messages (from_id, to_id, text)
    SELECT 10 + n %% {PEOPLE}, 10 + n * 7 %% {PEOPLE}, 'Hello, is it still there?' FROM generate_series(1, 10000) AS n;
INSERT INTO reports (listing_id, user_id, reporter_id, reason, created_at, resolved_at, resolved_by)
    SELECT CASE WHEN n %% 2 = 0 THEN 1 + n %% {PEOPLE} END, CASE WHEN n %% 2 = 1 THEN 11 + n %% {PEOPLE} END,
           11 + n / {PEOPLE}, 'spam', now() - n * interval '1 minute',
           CASE WHEN n > {OPEN} THEN now() - n * interval '1 minute' END, CASE WHEN n > {OPEN} THEN 1 END
    FROM generate_series(1, {OPEN + CLOSED}) AS n;
INSERT INTO audit (actor_id, action, target_type, target_id, reason)
    SELECT 1, CASE WHEN n %% 2 = 0 THEN 'warn' ELSE 'report_resolve' END,
           CASE WHEN n %% 2 = 0 THEN 'user' ELSE 'report' END, 11 + n %% {PEOPLE}, 'rude'
    FROM generate_series(1, 5000) AS n;
INSERT INTO sanctions (kind, user_id, by_id, reason)
    SELECT 'suspension', 11 + n %% {PEOPLE}, 1, 'rude' FROM generate_series(1, 2500) AS n;
ANALYZE users, listings, messages, reports, audit, sanctions"""
"""A fifth of the reports is open."""


class Watched(Database):
    """Notes the blocks that each statement reads, and which tables it reads from end to end."""

    read: list[tuple[str, int, set[str]]]

    async def fetch(self, statement: Statement, *parameters: Any) -> list[tuple[Any, ...]]:
        sql = statement.sql
        for number in range(len(parameters), 0, -1):
            value = parameters[number - 1]
            given = "NULL" if value is None else f"'{array(value) if isinstance(value, list) else value}'"
            sql = sql.replace(f"${number}", f"{given}::{statement.types[number - 1]}")
        explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) {sql}".replace("%", "%%")
        [(plans,)] = await super().fetch(Statement("", explain))
        plan = plans[0]["Plan"]
        whole = {one["Relation Name"] for one in nodes(plan) if one["Node Type"] == "Seq Scan"}
        self.read.append((statement.name, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], whole))
        return await super().fetch(statement, *parameters)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.fixture
async def watched(database: Database, settings: Settings) -> AsyncIterator[Watched]:
    patient = Database(replace(settings, database_url=as_owner(settings.database_url), database_timeout_seconds=60.0))
    for statement in FILL.split(";"):
        await patient.execute(Statement("", statement))
    await patient.close()
    watching = Watched(settings)
    watching.read = []
    yield watching
    await watching.close()


async def test_what_a_moderator_reads_costs_no_more_than_what_is_shown(database: Database, watched: Watched) -> None:
    assert await QueueWeights(database).weigh(10 * (OPEN + CLOSED)) == GROUPS
    queue, reports = ModerationQueue(watched), ReportRepository(watched)
    page = await queue.page(None, PAGE, by=MODERATOR)
    await queue.page(page[-1][1], PAGE, by=MODERATOR)
    await queue.group(GroupSubject(SubjectKind.PERSON, 12), by=MODERATOR)
    await queue.numbers()
    await reports.queue(None, PAGE, by=MODERATOR)
    await reports.open_count(by=MODERATOR)
    for one in watched.read:
        print(one)
    most = {
        # Only the groups of the page are weighed, with what was done to their people.
        "moderation_page": 80 * PAGE,
        "moderation_entries": 20 * PAGE,
        "moderation_deeds": 30 * PAGE,
        "moderation_group": 60,
        # Each block of the reports of these weeks once for when they were made, and once for when they were resolved.
        "moderation_numbers": (OPEN + CLOSED) // 20,
        # All that are open are counted, a block after the other; only what the page shows is looked up.
        "report_queue": OPEN // 20 + 20 * PAGE,
        "report_open_count": OPEN // 20,
    }
    assert [(name, blocks) for name, blocks, _ in watched.read if blocks > most.get(name, 10)] == []
    # All that has changed since it was weighed is read.
    assert [name for name, _, whole in watched.read if whole - {"queue_changes"}] == []
