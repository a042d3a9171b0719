"""A buyer and a seller who hear of listings when a test says so."""

from __future__ import annotations

import pytest

from shared.pubsub.memory import MemoryHub
from shared.settings import Settings
from tests.api.alerts.telling import Told, told_by
from tests.api.conftest import MakeApi, Person


@pytest.fixture
async def told(make_api: MakeApi, hub: MemoryHub, settings: Settings) -> Told:
    return await told_by(make_api, hub, settings)


@pytest.fixture
async def people(told: Told) -> tuple[Person, Person]:
    """A buyer and a seller; both listen."""
    buyer, seller = await told.api.register("Bob"), await told.api.register("Sally")
    await told.listens(buyer, seller)
    return buyer, seller
