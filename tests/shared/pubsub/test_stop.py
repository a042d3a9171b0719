"""A broker stops, also when its link breaks at the same moment."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.pubsub.redis import RedisBroker
from shared.pubsub.redis_link import RedisLink
from shared.settings import Settings
from tests.support.waiting import PATIENCE_SECONDS


async def test_a_broker_stops_when_its_link_breaks_at_the_same_moment(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = RedisLink.serve

    async def serve_and_break(link: RedisLink) -> None:
        try:
            await serve(link)
        except asyncio.CancelledError:
            raise RedisConnectionError("broken meanwhile") from None

    monkeypatch.setattr(RedisLink, "serve", serve_and_break)
    broker = RedisBroker(Settings(redis_url=redis_url))
    await broker.start(None)
    assert broker.connected
    stopping = asyncio.create_task(broker.stop())
    done, _ = await asyncio.wait((stopping,), timeout=PATIENCE_SECONDS)
    assert done
