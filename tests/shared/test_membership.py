"""The reports of processes in Postgres, and what other processes read there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.membership import Membership
from shared.postgres import Database, Statement
from shared.pubsub.memory import MemoryBroker
from shared.repositories.nodes import FORGOTTEN_SECONDS, NodeRepository, NodeState
from shared.settings import Settings

SOON = 10.0
LEASE_SECONDS = 0.4


class Broker(MemoryBroker):
    """A broker whose link a test can take down."""

    is_up = True

    @property
    def connected(self) -> bool:
        return self.is_up


class Process:
    """A process that reports for itself, and sees the reports of the others."""

    def __init__(self, settings: Settings, node_id: str) -> None:
        self.broker = Broker()
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
        """The other node's next report."""
        async with asyncio.timeout(SOON):
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


async def test_a_node_that_runs_is_seen_alive_and_one_that_left_is_not(settings: Settings) -> None:
    one, two = Process(settings, "one"), Process(settings, "two")
    async with one.membership:
        async with two.membership:
            seen = await one.sees("two")
            assert seen.dead_seconds < 0
            assert "one" not in one.others
        assert (await one.sees("two")).dead_seconds >= 0


async def test_a_node_that_stops_saying_so_is_dead_after_its_lease(settings: Settings, nodes: NodeRepository) -> None:
    one = Process(settings, "one")
    async with one.membership:
        await nodes.report("two", lease_seconds=LEASE_SECONDS, is_heard=True, unheard=0)
        async with asyncio.timeout(SOON):
            while (seen := await one.sees("two")).dead_seconds < 0:
                pass
        assert seen.heard_seconds >= LEASE_SECONDS


async def test_what_is_published_while_the_link_is_away_shows_and_for_how_long_it_is(settings: Settings) -> None:
    one, two = Process(settings, "one"), Process(settings, "two")
    async with one.membership, two.membership:
        two.published = 7
        assert (await one.sees("two")).unheard == 0
        two.broker.is_up = False
        async with asyncio.timeout(SOON):
            while (seen := await one.sees("two")).unheard != 7 or seen.heard_seconds < 2 * LEASE_SECONDS:
                pass
        assert seen.dead_seconds < 0
        two.broker.is_up = True
        two.published = 9
        async with asyncio.timeout(SOON):
            while (seen := await one.sees("two")).heard_seconds > LEASE_SECONDS:
                pass
        assert seen.unheard == 7


async def test_rows_of_nodes_that_died_long_ago_go_when_another_one_starts(
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


async def test_a_process_starts_and_ends_without_postgres(settings: Settings, tmp_path: Path) -> None:
    away = replace(settings, database_url=f"host={tmp_path}", database_timeout_seconds=0.2)
    async with asyncio.timeout(SOON), Process(away, "one").membership:
        pass


async def test_a_process_that_starts_before_the_schema_is_applied_says_so_of_itself_afterwards(
    settings: Settings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await database.execute(Statement("", "ALTER TABLE nodes RENAME TO nodes_to_come"))
    one, two = Process(settings, "one"), Process(settings, "two")
    async with one.membership:
        await database.execute(Statement("", "ALTER TABLE nodes_to_come RENAME TO nodes"))
        async with two.membership:
            assert (await two.sees("one")).dead_seconds < 0
    assert not [record for record in caplog.records if record.exc_info]
