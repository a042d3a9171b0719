"""The statements of schema.sql as steps that run beside traffic. Pure.

In an empty database the file runs as it is, in one transaction. In a database with rows that transaction would hold the
locks of every table until its end, and building an index would make every writer of its table wait. So there each
statement is a step with a transaction of its own, and an index of a table that is already there is built concurrently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""--[^\n]*            # a comment
      | '(?:[^']|'')*'      # a text
      | \$(\w*)\$.*?\$\1\$  # the body of a function
      | ;
    """,
    re.VERBOSE | re.DOTALL,
)
_INDEX = re.compile(r"CREATE (?P<unique>UNIQUE )?INDEX IF NOT EXISTS (?P<name>\w+)\s+ON (?P<table>\w+)")
_OF_THE_FILE = re.compile(r"(?:BEGIN|COMMIT|SET LOCAL .*|SELECT pg_advisory_xact_lock\(\d+\))", re.DOTALL)
"""What makes the file one transaction."""
_REPLACES = re.compile(r"DROP TRIGGER IF EXISTS|ALTER TABLE \w+ DROP CONSTRAINT IF EXISTS")
"""What the next statement makes anew: nobody may write in between."""


@dataclass(frozen=True)
class Step:
    """One or more statements, which take effect together."""

    sql: str
    index: str = ""
    """The name of the index that the step makes."""
    table: str = ""
    """The table of the index."""

    @property
    def is_batch(self) -> bool:
        """Whether the step changes some rows, and is to be repeated until it finds none."""
        return self.sql.startswith("UPDATE") and "LIMIT" in self.sql

    @property
    def concurrently(self) -> str:
        """The step for an index, such that nobody waits for it."""
        return self.sql.replace("INDEX IF NOT EXISTS", "INDEX CONCURRENTLY IF NOT EXISTS", 1)


def steps(sql: str) -> list[Step]:
    """Returns the steps of the file, in its order."""
    found: list[Step] = []
    replaced: list[str] = []
    for statement in statements(sql):
        if _OF_THE_FILE.fullmatch(statement):
            continue
        if _REPLACES.match(statement):
            replaced.append(statement)
            continue
        index = _INDEX.match(statement)
        if index is None:
            found.append(Step(";\n".join([*replaced, statement])))
        else:
            # An index is built concurrently, and that is in no transaction with anything else.
            if replaced:
                found.append(Step(";\n".join(replaced)))
            found.append(Step(statement, index["name"], index["table"]))
        replaced = []
    if replaced:
        found.append(Step(";\n".join(replaced)))
    return found


def statements(sql: str) -> Iterator[str]:
    """Yields the statements of a text, without comments between them and without semicolons."""
    parts: list[str] = []
    position = 0
    for token in _TOKEN.finditer(sql):
        parts.append(sql[position : token.start()])
        position = token.end()
        if token[0] == ";":
            statement = "".join(parts).strip()
            parts = []
            if statement:
                yield statement
        elif not token[0].startswith("--"):
            parts.append(token[0])
    rest = ("".join(parts) + sql[position:]).strip()
    if rest:
        yield rest
