"""Reads and writes a test's database directly, without the API."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg2


def query(database_url: str, sql: str, *parameters: Any) -> list[Any]:
    """Run one statement, in which `%s` stands for each parameter, and commit. Returns its rows, if it has any."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        if not cursor.description:
            # psycopg2 has no rows for rows without columns, which `SELECT FROM` gives.
            is_select = (cursor.statusmessage or "").startswith("SELECT")
            return [()] * cursor.rowcount if is_select else []
        rows: list[Any] = cursor.fetchall()
        return rows


def add_users(database_url: str, count: int) -> list[int]:
    """The ids of users without passwords: they cannot log in, and no time goes into hashing.

    They have been here for a year, because new accounts may write first to few people in a day.
    """
    return [
        row[0]
        for row in query(
            database_url,
            """INSERT INTO users (email, name, password_hash, created_at)
               SELECT gen_random_uuid() || '@example.com', 'Somebody', '-', now() - interval '1 year'
               FROM generate_series(1, %s) RETURNING id""",
            count,
        )
    ]


def stored_messages(database_url: str, people: Sequence[int]) -> list[tuple[int, int, int, str]]:
    """Id, sender, recipient and text of each message from or to one of these people."""
    ids = list(people)
    sql = "SELECT id, from_id, to_id, text FROM messages WHERE from_id = ANY(%s) OR to_id = ANY(%s) ORDER BY id"
    return query(database_url, sql, ids, ids)


def sent_messages(database_url: str, *senders: int) -> list[tuple[int, int, int, str]]:
    """Id, sender, recipient and text of each message from one of these people."""
    sql = "SELECT id, from_id, to_id, text FROM messages WHERE from_id = ANY(%s) ORDER BY id"
    return query(database_url, sql, list(senders))


def acquaint(database_url: str, one: int, other: int) -> None:
    """Let two people write to each other without a request, as if they had done so before."""
    query(
        database_url,
        """INSERT INTO contacts (user_id, other_id, state, seems_accepted)
           VALUES (%s, %s, 'accepted', true), (%s, %s, 'accepted', true) ON CONFLICT DO NOTHING""",
        *(one, other, other, one),
    )
