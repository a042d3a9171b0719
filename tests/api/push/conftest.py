"""An API whose push messages go to a push service of the tests' own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from api.services import SERVICES
from shared.access.push_key import new_push_key
from tests.api.conftest import Api, MakeApi
from tests.support.push_service import PushService, running_push_service

QUICK: dict[str, Any] = {
    "waiting_seconds": 0.05,
    "waiting_unseen_seconds": 0.05,
    "away_seconds": 0.1,
    "away_again_seconds": 0.1,
    "telling_seconds": 0.05,
    "push_private_endpoints": True,
    "rate_limits": False,
}

MakeQuick = Callable[..., Awaitable[Api]]


@pytest.fixture
async def push_service() -> AsyncIterator[PushService]:
    async with running_push_service() as service:
        yield service


@pytest.fixture
async def make_quick(make_api: MakeApi, push_service: PushService) -> MakeQuick:
    """Starts an API that tells people who are away at once."""

    async def make(**changes: Any) -> Api:
        api = await make_api(**{**QUICK, "vapid_private_key": new_push_key(), **changes})
        push_service.public_key = api.client.app[SERVICES].vapid.public_key
        return api

    return make


@pytest.fixture
async def quick(make_quick: MakeQuick) -> Api:
    return await make_quick()
