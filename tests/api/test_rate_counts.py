"""Where requests are counted: in Redis, in a cluster, behind sentinels, and in the process while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from api import rate_counts
from api.rate_counts import TAKE
from shared.settings import Settings
from tests.api.attempts import guesses, refused, registration
from tests.api.conftest import Api, MakeApi
from tests.support.cluster import running_cluster
from tests.support.proxy import Proxy
from tests.support.silent import silent_server
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("at_rest")


@pytest.fixture(params=["cluster", "sentinel"])
def shared_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sentinel":
        yield request.getfixturevalue("sentinels").url
        return
    with running_cluster() as cluster:
        yield cluster.url


async def test_limits_hold_on_a_redis_cluster_and_behind_sentinels(shared_url: str, make_api: MakeApi) -> None:
    nodes = [await make_api(redis_url=shared_url, writes_per_account_minute=2) for _ in range(2)]
    # The counts of the address and of the accounts are on several masters.
    people = [await nodes[0].register() for _ in range(4)]
    for someone in people:
        for api in nodes:
            await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
        for api in nodes:
            await refused(api, "PATCH", "/api/me", json={"name": "Name"}, headers=someone.headers)


async def test_a_process_that_is_late_does_not_take_redis_for_away(
    make_api: MakeApi, compared: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    api = await make_api(logins_per_account_minute=2, rate_limit_timeout_seconds=0.05)
    someone = await api.register()
    is_busy = True

    def block() -> None:
        time.sleep(0.12)
        if is_busy:
            asyncio.get_running_loop().call_soon(block)

    block()
    statuses = await guesses(api, someone.email, 4)
    is_busy = False
    assert sorted(statuses) == [401, 401, 429, 429]
    assert len(compared) == 2
    assert "rate limits counted in this process" not in caplog.messages


async def test_without_redis_each_process_counts_and_the_outage_has_one_line(
    make_api: MakeApi, compared: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    api = await make_api(
        registrations_per_minute=2, logins_per_account_minute=3, writes_per_minute=5, redis_url="redis://127.0.0.1:1/0"
    )
    people = [await api.register() for _ in range(2)]
    await refused(api, "POST", "/api/register", json=registration(9))
    assert sorted(await guesses(api, people[0].email, 300)) == [401] * 3 + [429] * 297
    assert len(compared) == 3
    for number in range(5):
        await api.call("PATCH", "/api/me", 200, who=people[1], json={"name": f"Name {number}"})
    await refused(api, "PATCH", "/api/me", json={"name": "Name"}, headers=people[1].headers)
    lines = [record for record in caplog.records if record.name == "api.rate_counts"]
    assert [(one.levelno, one.getMessage()) for one in lines] == [
        (logging.WARNING, "rate limits counted in this process")
    ]


async def test_after_an_outage_redis_counts_again(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "api.rate_counts")
    monkeypatch.setattr(rate_counts, "RETRY_SECONDS", 0.05)
    url = urlsplit(settings.redis_url)
    async with Proxy(url.path if url.scheme == "unix" else url.port or 6379) as proxy:
        proxy.refuses = True
        api = await make_api(redis_url=f"redis://127.0.0.1:{proxy.port}/0", writes_per_account_minute=1)
        someone = await api.register()
        await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
        assert [one for one in caplog.messages if "rate limits" in one] == ["rate limits counted in this process"]
        proxy.refuses = False
        await until(lambda: "rate limits counted in Redis again" in caplog.messages)
        other = await make_api(writes_per_account_minute=1)
        await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
        await refused(other, "PATCH", "/api/me", json={"name": "Name"}, headers=someone.headers)


async def test_a_redis_that_does_not_answer_delays_only_one_request(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    with silent_server() as port:
        api = await make_api(redis_url=f"redis://127.0.0.1:{port}/0", registrations_per_minute=5)
        for number in range(5):
            await api.call("POST", "/api/register", 201, json=registration(number))
        await refused(api, "POST", "/api/register", json=registration(5))
        # A request that waits in vain writes this line.
        assert caplog.messages.count("rate limits counted in this process") == 1


async def test_keys_have_the_prefix_expire_and_name_no_person(api: Api, settings: Settings) -> None:
    someone = await api.login(await api.register())
    await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        keys = [key async for key in redis.scan_iter("*rate:*")]
        assert len(keys) == 6
        for key in keys:
            assert key.startswith(settings.redis_prefix + "rate:{")
            assert someone.email not in key
            assert 0 < await redis.pttl(key) <= 120_000


async def take(redis: Redis, now: float, limit: int = 10, length: int = 1000) -> int:
    """Count one request at the time `now`, in milliseconds; return the milliseconds to wait, or 0."""
    script = TAKE.replace("redis.call('TIME')", "{" + f"{int(now // 1000)}, {int(now % 1000) * 1000}" + "}")
    return int(await redis.eval(script, 1, "window", length, limit))


async def test_the_window_slides_and_the_returned_wait_is_enough(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        start = 1_000_000
        # All ten come late in a window, and still count at the beginning of the next one.
        assert [await take(redis, start + 900) for _ in range(10)] == [0] * 10
        wait = await take(redis, start + 900)
        assert wait > 100
        assert await take(redis, start + 1000) > 0
        assert await take(redis, start + 900 + wait - 2) > 0
        assert await take(redis, start + 900 + wait) == 0
        # After half of the next window, five of the ten still count, and the one above.
        assert [await take(redis, start + 1500) for _ in range(4)] == [0] * 4
        wait = await take(redis, start + 1500)
        assert 0 < wait <= 101
        assert await take(redis, start + 1500 + wait) == 0
        # After two windows without requests, nothing counts any more.
        assert [await take(redis, start + 4000) for _ in range(10)] == [0] * 10
        assert await take(redis, start + 4000, limit=1) > 0
