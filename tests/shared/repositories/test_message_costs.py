"""What storing messages costs does not grow with what is stored already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.likeness import looks_of, packed
from shared.domain.messages import NewMessage
from shared.postgres import Database, Statement
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.recent_texts import HoldLimits
from shared.settings import Settings

STORED = """
INSERT INTO categories (id, name) VALUES (1, 'Cars');
INSERT INTO listings (seller_id, category_id, title, content)
    SELECT 1 + n %% 10, 1, 'Car', 'Good' FROM generate_series(1, 500) AS n;
INSERT INTO messages (from_id, to_id, text)
    SELECT 1 + n %% 10, 1 + n / 10 %% 10, 'x' FROM generate_series(1, 3000) AS n;
INSERT INTO blocks (blocker_id, blocked_id) SELECT 10, n FROM generate_series(1, 9) AS n;
INSERT INTO contacts (user_id, other_id, state, seems_accepted)
    SELECT 1000 + n, 5000 + n, 'open', false FROM generate_series(1, 1000) AS n;
INSERT INTO recent_texts (from_id, to_id, sketch) SELECT n, n + 1, '' FROM generate_series(1, 1000) AS n"""
TABLES = ("messages", "listings", "contacts", "users", "blocks", "recent_texts")
MOST_READ = 4
"""Of one message, at most so many rows of one table are read."""


@pytest.fixture
async def one_connection(settings: Settings, database: Database) -> AsyncIterator[Database]:
    """The database through one connection, which plans each statement once."""
    opened = await Database.connect(replace(settings, database_pool_size=1))
    yield opened
    await opened.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def rows_read(plan: dict[str, Any], tables: Sequence[str]) -> dict[str, float]:
    """Returns the rows that a plan has read of each table, with those that it then left out."""
    read = dict.fromkeys(tables, 0.0)
    for node in nodes(plan):
        if node.get("Relation Name") in read and "Scan" in node["Node Type"]:
            dropped = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
            read[node["Relation Name"]] += (node["Actual Rows"] + dropped) * node["Actual Loops"]
    return read


@pytest.mark.parametrize("count", [1, 4])
async def test_a_first_message_reads_few_rows_of_large_tables(
    one_connection: Database, owner: Database, count: int
) -> None:
    # The plan is made while the tables are small, and is kept.
    await MessageInserts(one_connection, HoldLimits(5, 20, 3600.0)).insert_many([NewMessage(1, 2, "Hi")])
    await owner.execute(Statement("", STORED))
    people = list(range(2001, 2001 + count))
    await owner.execute(
        Statement(
            "",
            """INSERT INTO users (id, email, name, password_hash)
               SELECT n, n || '@new.example', 'New', '-' FROM generate_series(1501, 2500) AS n""",
        )
    )
    nothing = [None] * count
    new = (people, [one + 100 for one in people], ["Hi"] * count, nothing, nothing)
    texts = ([packed(looks_of("Hi").sketch).hex()] * count, [True] * count, [0] * count, [False] * count, nothing)
    given = (*new, True, *texts, 5, 20, 3600.0)
    execute = f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) EXECUTE messages_insert ({', '.join(['%s'] * len(given))})"
    [(plans,)] = await one_connection.fetch(Statement("", execute), *given)
    read = rows_read(plans[0]["Plan"], TABLES)
    assert read["users"] >= count
    assert max(read.values()) <= MOST_READ * count, read
