"""Repositories on a database with ten users."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.postgres import Database
from shared.repositories.blocks import BlockRepository
from shared.repositories.conversations import ConversationRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.messages import MessageRepository
from shared.repositories.seed import SeedRepository
from shared.repositories.users import UserRepository
from shared.settings import Settings


@pytest.fixture
async def database(settings: Settings, owner: Database) -> AsyncIterator[Database]:
    await SeedRepository(owner).users(10, "no hash")
    opened = await Database.connect(settings)
    yield opened
    await opened.close()


@pytest.fixture
def messages(database: Database) -> MessageRepository:
    return MessageRepository(database)


@pytest.fixture
def inserts(database: Database) -> MessageInserts:
    return MessageInserts(database)


@pytest.fixture
def conversations(database: Database) -> ConversationRepository:
    return ConversationRepository(database)


@pytest.fixture
def users(database: Database) -> UserRepository:
    return UserRepository(database)


@pytest.fixture
def blocks(database: Database) -> BlockRepository:
    return BlockRepository(database)
