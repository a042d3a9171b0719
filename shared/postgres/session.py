"""The settings of Postgres, and one of this project, that every statement runs with. Pure.

They are not sent when a connection begins (libpq's `options`), because PgBouncer refuses a client that does so.
"""

from __future__ import annotations

from collections.abc import Sequence

ZONE = "SET timezone TO 'UTC'"
"""PgBouncer notices this one, and gives it to every session that it lends to this client."""

_SETTINGS = (
    # Plan a prepared statement once. By itself, Postgres plans a statement with arrays at each execution: it expects
    # ten elements of an array that it does not know, so a plan for one element always looks cheaper. For messages that
    # took longer than to store them.
    "plan_cache_mode TO force_generic_plan",
    "jit TO off",
    # Sequential scans are forbidden: a plan made while a table is small, or its statistics are old, is kept when the
    # table has grown. Random pages cost little more than sequential ones, because they are in memory or on a
    # solid-state disk. work_mem is large enough for the bitmap of a search's matches.
    "enable_seqscan TO off",
    "random_page_cost TO 1.1",
    "work_mem TO '16MB'",
)


STAFF_NEEDS_SECOND_FACTOR = "daveslist.staff_needs_second_factor"
"""`on` where staff without a second factor may do only what users may; not set elsewhere."""


def settings(statement_timeout_seconds: float, *, staff_needs_second_factor: bool = False) -> tuple[str, ...]:
    """Returns what `SET` gets for all settings. The server cancels a statement after the timeout."""
    of_access = (f"{STAFF_NEEDS_SECOND_FACTOR} TO on",) if staff_needs_second_factor else ()
    return (*_SETTINGS, f"statement_timeout TO {int(statement_timeout_seconds * 1000)}", *of_access)


def for_session(settings: Sequence[str]) -> str:
    """Returns SQL for a session of our own."""
    return "; ".join(f"SET {setting}" for setting in settings)


def for_transaction(settings: Sequence[str]) -> str:
    """Returns SQL for the begin of each transaction in a session that is lent to others afterwards."""
    return "; ".join(f"SET LOCAL {setting}" for setting in settings)
