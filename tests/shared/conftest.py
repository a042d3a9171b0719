"""The database as its owner, for tests that change the schema or add demo data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.postgres import Database
from shared.settings import Settings
from tests.support.roles import as_owner


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Database]:
    """The database for the role that may change its schema."""
    opened = await Database.connect(replace(settings, database_url=as_owner(settings.database_url)))
    yield opened
    await opened.close()
