"""The rows of a statement without columns count, so that a test can ask whether there are any."""

from __future__ import annotations

from tests.support.database import query


def test_rows_without_columns_are_rows(database_url: str) -> None:
    assert query(database_url, "SELECT FROM generate_series(1, 2)") == [(), ()]
    assert query(database_url, "SELECT FROM generate_series(1, 0)") == []
    assert query(database_url, "INSERT INTO categories (name) VALUES ('Sedans')") == []
