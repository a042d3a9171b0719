"""Postgres: statements, transactions, the pool, the schema. Everything else about SQL is in shared/repositories."""

from shared.postgres.database import Database, Transaction
from shared.postgres.errors import DatabaseUnavailable
from shared.postgres.statement import Statement

__all__ = ["Database", "DatabaseUnavailable", "Statement", "Transaction"]
