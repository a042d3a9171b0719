"""Tests the reports that processes write into Postgres, and what other processes read from them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.membership import Membership
from shared.postgres import Database, Statement
from shared.repositories.nodes import FORGOTTEN_SECONDS, MOST_LISTED, NodeRepository, NodeState
from shared.settings import Settings
from tests.support.broker import SwitchedBroker
from tests.support.waiting import PATIENCE_SECONDS

LEASE_SECONDS = 0.4


class Process:
    """A process that writes its report, and reads the reports of the others."""

    def __init__(self, settings: Settings, node_id: str) -> None:
        self.broker = SwitchedBroker()
        self.published = 0
        self.others: dict[str, NodeState] = {}
        self._seen = asyncio.Event()
        self.membership = Membership(
            replace(settings, node_lease_seconds=LEASE_SECONDS),
            node_id,
            self.broker,
            published=lambda: self.published,
            on_others=self._on_others,
        )

    def _on_others(self, others: Sequence[NodeState]) -> None:
        self.others = {node.id: node for node in others}
        self._seen.set()

    async def sees(self, node_id: str) -> NodeState:
        """Wait for the next report of another node."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._seen.clear()
                await self._seen.wait()
                if node_id in self.others:
                    return self.others[node_id]


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.connect(settings)
    yield opened
    await opened.close()


@pytest.fixture
def nodes(database: Database) -> NodeRepository:
    return NodeRepository(database)


async def test_a_running_node_is_alive_and_a_stopped_one_is_not(settings: Settings) -> None:
    one, two = Process(settings, "one"), Process(settings, "two")
    async with one.membership:
        async with two.membership:
            seen = await one.sees("two")
            assert seen.dead_seconds < 0
            assert "one" not in one.others
        assert (await one.sees("two")).dead_seconds >= 0


async def test_a_node_without_new_reports_is_dead_after_its_lease(settings: Settings, nodes: NodeRepository) -> None:
    one = Process(settings, "one")
    async with one.membership:
        await nodes.report("two", lease_seconds=LEASE_SECONDS, is_heard=True, unheard=0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (seen := await one.sees("two")).dead_seconds < 0:
                pass
        assert seen.heard_seconds >= LEASE_SECONDS


async def test_a_report_has_the_messages_published_without_a_link_and_how_long_it_was_away(settings: Settings) -> None:
    one, two = Process(settings, "one"), Process(settings, "two")
    async with one.membership, two.membership:
        two.published = 7
        assert (await one.sees("two")).unheard == 0
        two.broker.is_up = False
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (seen := await one.sees("two")).unheard != 7 or seen.heard_seconds < 2 * LEASE_SECONDS:
                pass
        assert seen.dead_seconds < 0
        two.broker.is_up = True
        two.published = 9
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (seen := await one.sees("two")).heard_seconds > LEASE_SECONDS:
                pass
        assert seen.unheard == 7


async def test_rows_of_long_dead_nodes_are_deleted_when_another_node_starts(
    settings: Settings, nodes: NodeRepository, database: Database
) -> None:
    for node_id in ("old", "fresh"):
        await nodes.report(node_id, lease_seconds=0.0, is_heard=True, unheard=0)
    long_ago = "UPDATE nodes SET alive_until = now() - make_interval(secs => $1) WHERE id = 'old'"
    await database.execute(Statement("test_long_ago", long_ago, ("double precision",)), FORGOTTEN_SECONDS + 1)
    one = Process(settings, "one")
    async with one.membership:
        for _ in range(2):
            await one.sees("fresh")
        assert set(one.others) == {"fresh"}


async def test_a_process_can_start_and_stop_without_postgres(settings: Settings, tmp_path: Path) -> None:
    away = replace(settings, database_url=f"host={tmp_path}", database_timeout_seconds=0.2)
    async with asyncio.timeout(PATIENCE_SECONDS), Process(away, "one").membership:
        pass


async def test_a_process_that_started_before_the_schema_was_applied_reports_afterwards(
    settings: Settings, owner: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await owner.execute(Statement("", "ALTER TABLE nodes RENAME TO nodes_to_come"))
    one, two = Process(settings, "one"), Process(settings, "two")
    async with one.membership:
        await owner.execute(Statement("", "ALTER TABLE nodes_to_come RENAME TO nodes"))
        async with two.membership:
            assert (await two.sees("one")).dead_seconds < 0
    assert not [record for record in caplog.records if record.exc_info]


async def test_what_runs_is_listed_also_if_more_have_ended_than_are_listed(
    database: Database, nodes: NodeRepository
) -> None:
    add = """INSERT INTO nodes (id, alive_until, heard_at, unheard, started_at)
        SELECT %s || n, now() - make_interval(secs => %s), now(), 0, now() - interval '1 day'
        FROM generate_series(1, %s) AS n"""
    added = Statement("", add)
    await database.execute(added, "api-died-", 60.0, MOST_LISTED)
    await database.execute(added, "api-died-long-ago-", 2 * FORGOTTEN_SECONDS, 1)
    await database.execute(added, "gateway-", -60.0, 2)
    listed = [one.id for one in await nodes.listed(lease_seconds=LEASE_SECONDS)]
    assert listed[-2:] == ["gateway-1", "gateway-2"]
    assert len(listed) == MOST_LISTED
    assert "api-died-long-ago-1" not in listed
