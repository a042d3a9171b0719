"""The turns that messages take: a lock in Postgres, under which ids become visible in the order of their numbers.

The triggers in schema.sql take the same lock. Whoever has it keeps all other messages waiting until the commit.
"""

from __future__ import annotations

from shared.postgres import Statement

TURN = "SELECT pg_advisory_xact_lock(7239870111)"
"""What a statement takes its turn with, before it (`Statement.first`). It then sees what the last holder has done."""

HURRY = Statement("", "SET LOCAL idle_in_transaction_session_timeout = '2s'")
"""To be executed in a transaction before the statement that takes its turn, because the commit needs another trip.

If the process freezes meanwhile or loses its connection, Postgres rolls the transaction back soon.
"""
