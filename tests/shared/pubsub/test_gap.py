"""Tests the length of the gap that a broker reports when its link to Redis is restored."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

from redis import Redis

from shared.pubsub.redis import RedisBroker
from shared.settings import Settings
from tests.contracts.test_broker import Inbox

PAUSE_SECONDS = 1.0


async def test_a_gap_includes_a_pause_of_the_process_although_old_messages_are_read_later(redis_url: str) -> None:
    """During the pause Redis drops the link; a message from before the pause is still waiting to be read."""
    broker, inbox = RedisBroker(replace(Settings(), redis_url=redis_url, redis_timeout_seconds=0.3)), Inbox()
    await broker.start(inbox)
    try:
        await broker.subscribe("topic")
        with closing(Redis.from_url(redis_url)) as client:
            client.publish("daveslist:topic", "early")
            time.sleep(PAUSE_SECONDS)  # noqa: ASYNC251 (the whole process must pause)
            client.client_kill_filter(_type="pubsub", skipme=True)
            client.client_kill_filter(_type="normal", skipme=True)
        await inbox.until(lambda box: bool(box.restored))
        assert inbox.messages == [("topic", b"early")]
        assert inbox.restored[0] >= PAUSE_SECONDS
    finally:
        await broker.stop()


async def test_each_loss_of_the_link_is_reported_once_with_its_length(redis_url: str) -> None:
    broker, inbox = RedisBroker(replace(Settings(), redis_url=redis_url, redis_timeout_seconds=0.3)), Inbox()
    await broker.start(inbox)
    try:
        await broker.subscribe("topic")
        with closing(Redis.from_url(redis_url)) as client:
            client.client_kill_filter(_type="pubsub", skipme=True)
            await inbox.until(lambda box: len(box.restored) == 1)
            client.client_kill_filter(_type="pubsub", skipme=True)
            await inbox.until(lambda box: len(box.restored) == 2)
        # The second gap does not include the first one.
        assert all(0 < seconds < 5 for seconds in inbox.restored)
    finally:
        await broker.stop()
