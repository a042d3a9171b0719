"""Postgres logs that a statement has failed, but nothing that people wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from itertools import pairwise

import psycopg2
import psycopg2.errors
import pytest

from development.postgres import OWNER, EmbeddedPostgres
from tests.deployment.test_compose import SERVICES
from tests.support.scratch import scratch_directory

pytestmark = pytest.mark.servers

WORDS = "the words of somebody"
FAILING = {
    "a fault in the statement": ("SELECT %s, 1 / 0", psycopg2.errors.DivisionByZero),
    "a row that exists": ("INSERT INTO notes VALUES (%s)", psycopg2.errors.UniqueViolation),
    "a row that is not allowed": ("INSERT INTO notes VALUES (%s || repeat('!', 99))", psycopg2.errors.CheckViolation),
    "a statement that takes too long": ("SELECT %s, pg_sleep(30)", psycopg2.errors.QueryCanceled),
    "a server that stops": ("SELECT %s, pg_terminate_backend(pg_backend_pid())", psycopg2.OperationalError),
    "a prepared statement": ("EXECUTE note (%s)", psycopg2.errors.UniqueViolation),
}
PREPARE = """
CREATE TABLE notes (text text PRIMARY KEY CHECK (length(text) < 60));
INSERT INTO notes VALUES (%s);
PREPARE note (text) AS INSERT INTO notes VALUES ($1);
SET statement_timeout = '200ms';
"""


def compose_settings() -> dict[str, str]:
    """The settings that compose.yaml gives to Postgres."""
    words = SERVICES["postgres"]["command"]
    given = [word for before, word in pairwise(words) if before == "-c"]
    return dict(word.split("=", 1) for word in given)


@pytest.fixture(params=["compose.yaml", "make run"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[EmbeddedPostgres]:
    """A Postgres with the settings of compose.yaml or `make run`."""
    options = compose_settings() if request.param == "compose.yaml" else {}
    with scratch_directory() as directory:
        running = EmbeddedPostgres(directory / "postgres", fsync=False, options=options)
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


async def test_a_failed_statement_is_logged_without_its_values(server: EmbeddedPostgres) -> None:
    for number, (sql, error) in enumerate(FAILING.values()):
        with closing(psycopg2.connect(server.url(role=OWNER))) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS notes; {PREPARE}", (WORDS,))
            connection.commit()
            with pytest.raises(error):
                cursor.execute(sql, (WORDS,))
        log = server.log.read_text(encoding="utf-8")
        assert len([line for line in log.splitlines() if " ERROR: " in line or " FATAL: " in line]) > number, log
        assert WORDS not in log
