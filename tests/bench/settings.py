"""The settings of processes that are measured over HTTP."""

from __future__ import annotations

from pathlib import Path

from shared.settings import Settings


def measured(database_url: str, redis_url: str, directory: Path) -> Settings:
    """Returns settings as in production: in development, pages look for changed files each time."""
    return Settings(
        environment="production",
        database_url=database_url,
        redis_url=redis_url,
        jwt_secrets=("a secret of the benchmark and of nobody else on earth",),
        data_directory=directory,
        log_level="WARNING",
        rate_limits=False,
        # Everybody is new here.
        new_account_listings=100_000,
        new_account_people=100_000,
    )
