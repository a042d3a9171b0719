"""Prepared statements behind a pooler that lends a session of Postgres for one transaction, as PgBouncer can. Pure.

Nobody knows which session a transaction gets, and what was prepared there: other processes, also of other versions, use
the same sessions. So a name has a hash of its SQL. A statement of its own is executed, and if the session does not have
it, prepared and executed in a second trip. In a transaction that would be too late, because the error ends it. So each
transaction begins with a statement that tells which session it is; what was prepared there is remembered.

All other settings are given to each transaction. Nothing else stays on a session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import uuid4

from shared.postgres import session
from shared.postgres.statement import Statement

BEGIN_AGAIN = "ROLLBACK; BEGIN"
_MARK = "daveslist_session"
"""The prepared statement that returns a session's name."""
_MOST_SESSIONS = 1000
"""Sessions that are remembered. PgBouncer replaces each of its sessions from time to time."""


class Pooling:
    """What all connections of one pool know of the sessions behind the pooler."""

    def __init__(self, settings: Sequence[str]) -> None:
        """`settings` are those of session.py."""
        self.settings = session.for_transaction(settings)
        self.begin = f"; {self.settings}; EXECUTE {_MARK}"
        self._names: dict[str, tuple[str, str]] = {}
        self._sessions: dict[str, set[str]] = {}

    def name(self, statement: Statement) -> str:
        """Returns the name of the prepared statement. Raises RuntimeError if there are two of one name."""
        known = self._names.get(statement.name)
        if known is None:
            text = ", ".join(statement.types) + " " + statement.sql
            # Postgres cuts names after 63 bytes.
            name = f"{statement.name[:40]} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
            known = self._names[statement.name] = (statement.sql, name)
        if known[0] is not statement.sql and known[0] != statement.sql:
            raise RuntimeError(f"two statements are named {statement.name!r}")
        return known[1]

    def preparing(self, statement: Statement, *, anew: bool = False) -> str:
        """Returns SQL that prepares the statement unless the session has it; `anew` if what it has is out of date."""
        types = f" ({', '.join(statement.types)})" if statement.types else ""
        return _unless_there(self.name(statement), f"{types} AS {statement.sql}", anew)

    def marking(self) -> str:
        """Returns SQL for the begin of a transaction in a session that has no name yet."""
        marking = _unless_there(_MARK, f" AS SELECT '{uuid4().hex}'", anew=False)
        return f"; {self.settings}; {marking}; EXECUTE {_MARK}"

    def prepared_in(self, session_name: str) -> set[str]:
        """Returns the names that are known to be prepared in this session; callers add to them."""
        found = self._sessions.pop(session_name, None)
        if found is None:
            found = set()
            if len(self._sessions) >= _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        self._sessions[session_name] = found
        return found


def _unless_there(name: str, definition: str, anew: bool) -> str:
    """A block of PL/pgSQL, because PREPARE has no IF NOT EXISTS, and its error would end the transaction."""
    # No text has its own hash, so the quotes cannot end early.
    tag = hashlib.sha256(definition.encode()).hexdigest()[:16]
    is_there = f"EXISTS (SELECT FROM pg_prepared_statements WHERE name = '{name}')"
    prepare = f'EXECUTE $sql_{tag}$PREPARE "{name}"{definition}$sql_{tag}$;'
    if anew:
        steps = f"IF {is_there} THEN EXECUTE 'DEALLOCATE \"{name}\"'; END IF; {prepare}"
    else:
        steps = f"IF NOT {is_there} THEN {prepare} END IF;"
    return f"DO $do_{tag}$ BEGIN {steps} END $do_{tag}$"
