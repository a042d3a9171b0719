"""Limits on registering, logging in and writing, by address and by account, counted over all nodes together."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, TCPConnector
from redis.asyncio import Redis

from api import passwords, rate_counts
from api.rate_counts import TAKE
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, MakeApi
from tests.support.cluster import running_cluster
from tests.support.waiting import until


def registration(number: int) -> dict[str, Any]:
    return {"email": f"someone{number}@example.com", "password": PASSWORD, "name": "Someone"}


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are compared with a hash."""
    seen: list[str] = []
    verify = passwords._verify

    def noted(password_hash: str, password: str) -> bool:
        seen.append(password)
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_verify", noted)
    return seen


async def refused(api: Api, method: str, path: str, **more: Any) -> int:
    """Check that the request is refused, and return the seconds of its Retry-After."""
    response = await api.client.request(method, path, **more)
    body = await response.json()
    assert (response.status, body["type"]) == (429, "/problems/too-many-requests")
    seconds = int(response.headers["Retry-After"])
    assert 1 <= seconds <= 120
    return seconds


async def test_by_default_ten_registrations_and_sixty_writes_a_minute_are_allowed(api: Api) -> None:
    people = [await api.register() for _ in range(11)]
    for number in range(61):
        await api.call("PATCH", "/api/me", 200, who=people[0], json={"name": f"Name {number}"})


async def test_registrations_from_one_address_are_limited_over_all_nodes(make_api: MakeApi) -> None:
    nodes = [await make_api(registrations_per_minute=3) for _ in range(2)]
    for number in range(3):
        await nodes[number % 2].call("POST", "/api/register", 201, json=registration(number))
    for api in nodes:
        await refused(api, "POST", "/api/register", json=registration(9))
    # The request is refused before its body is read.
    await refused(nodes[0], "POST", "/api/register", data=b"{")


async def test_wrong_current_passwords_of_one_token_are_limited(make_api: MakeApi) -> None:
    api = await make_api(logins_per_account_minute=2)
    someone = await api.register()
    wrong = {"current_password": "wrong horse"}
    await api.call("DELETE", "/api/me", 403, who=someone, json=wrong)
    await api.call("PATCH", "/api/me", 403, who=someone, json={"email": "mine@example.com", **wrong})
    right = {"current_password": PASSWORD}
    await refused(api, "DELETE", "/api/me", headers=someone.headers, json=right)
    # A user who knows the password can still log in.
    await api.login(someone)


ANY_PROXY = (ip_network("127.0.0.0/8"),)


async def log_in(api: Api, email: str, password: str, address: str = "203.0.113.1", device: str | None = None) -> int:
    """Log in from this address, for an API that trusts ANY_PROXY, and return the status."""
    body = {"email": email, "password": password} | ({"device_id": device} if device is not None else {})
    response = await api.client.post("/api/login", json=body, headers={"X-Forwarded-For": address})
    return response.status


async def test_guesses_at_one_account_are_limited_by_network_and_over_all_networks(make_api: MakeApi) -> None:
    limits = {"logins_per_account_minute": 2, "guesses_per_account_minute": 5}
    nodes = [await make_api(trusted_proxies=ANY_PROXY, **limits) for _ in range(2)]
    api = nodes[0]
    someone, other = await api.register(), await api.register()
    seen = [
        await log_in(nodes[number % 2], someone.email.upper(), "wrong horse", f"203.0.113.{number}")
        for number in range(4)
    ]
    assert seen == [401, 401, 429, 429]
    # What was refused from that network does not count for the others.
    assert [await log_in(api, someone.email, "wrong horse", f"198.51.{n}.1") for n in range(4)] == [401, 401, 401, 429]
    assert await log_in(api, someone.email, PASSWORD, "192.0.2.1") == 429
    assert await log_in(api, other.email, PASSWORD) == 200


async def test_a_right_password_is_not_counted_as_a_guess(make_api: MakeApi) -> None:
    api = await make_api(logins_per_account_minute=2, guesses_per_account_minute=3, trusted_proxies=ANY_PROXY)
    someone = await api.register()
    assert [await log_in(api, someone.email, PASSWORD) for _ in range(8)] == [200] * 8
    # Nor is the right current password.
    for number in range(5):
        email = f"mine{number}@example.com"
        body = {"current_password": PASSWORD, "email": email}
        await api.call("PATCH", "/api/me", 200, who=someone, json=body)
    assert [await log_in(api, email, "wrong horse") for _ in range(3)] == [401, 401, 429]


async def test_somebody_elses_guesses_never_keep_the_owner_out(make_api: MakeApi) -> None:
    limits = {"logins_per_account_minute": 2, "guesses_per_account_minute": 4, "logins_per_minute": 6}
    api = await make_api(trusted_proxies=ANY_PROXY, **limits)
    registered = await api.call("POST", "/api/register", 201, json=registration(1))
    email, device = registered["user"]["email"], registered["device_id"]
    # The guesser is in the owner's own network, and has used up every allowance there.
    for number in range(8):
        await log_in(api, email, "wrong horse", f"203.0.{number}.1")
    for _ in range(8):
        await log_in(api, email, "wrong horse")
    assert await log_in(api, email, PASSWORD) == 429
    assert await log_in(api, email, PASSWORD, device=device) == 200


async def test_a_device_is_known_to_its_own_account_only_and_has_a_limit_of_its_own(make_api: MakeApi) -> None:
    limits = {"logins_per_account_minute": 2, "guesses_per_account_minute": 9, "logins_per_minute": 4}
    api = await make_api(trusted_proxies=ANY_PROXY, **limits)
    owner = await api.call("POST", "/api/register", 201, json=registration(1))
    thief = await api.call("POST", "/api/register", 201, json=registration(2))
    email, device, stolen = owner["user"]["email"], owner["device_id"], thief["device_id"]
    guessed = [await log_in(api, email, "wrong horse", device=stolen) for _ in range(4)]
    assert guessed == [401, 401, 429, 429]
    # Every one of these counted for the address as well.
    assert await log_in(api, thief["user"]["email"], PASSWORD) == 429
    for forged in (device[:-1], device + "A", device.replace(".", ".x", 1), "1.2.3", "", ".", "é.é.é", "9" * 190):
        assert await log_in(api, email, PASSWORD, device=forged) == 429
    body = {"email": email, "password": PASSWORD, "device_id": device}
    again = await api.call("POST", "/api/login", 200, json=body)
    assert again["device_id"] == device
    guessed = [await log_in(api, email, "wrong horse", f"192.0.{n}.1", device) for n in range(3)]
    assert guessed == [401, 401, 429]


async def test_guesses_with_a_stolen_token_do_not_keep_the_owner_from_a_new_password(make_api: MakeApi) -> None:
    api = await make_api(logins_per_account_minute=2)
    stolen = await api.register()
    owner = await api.login(stolen)
    for status in (403, 403, 429):
        body = {"current_password": "wrong horse", "password": "a new passphrase"}
        await api.call("PATCH", "/api/me", status, who=stolen, json=body)
    body = {"current_password": PASSWORD, "password": "a new passphrase"}
    await api.call("PATCH", "/api/me", 200, who=owner, json=body)


async def test_no_spelling_of_an_address_has_an_allowance_of_its_own(make_api: MakeApi) -> None:
    api = await make_api(logins_per_account_minute=3, trusted_proxies=ANY_PROXY)
    email = "iiiiikss@example.com"
    await api.call("POST", "/api/register", 201, json={**registration(1), "email": email})
    assert [await log_in(api, email, "wrong horse") for _ in range(4)] == [401, 401, 401, 429]
    # The dotted capital I, the dotless i, a full-width i, the Kelvin sign, the long s, the sharp s.
    letters = {"i": "I\u0130\u0131\uff49", "k": "K\u212a", "s": "S\u017f"}
    spellings = [email.replace(old, new) for old, news in letters.items() for new in news]
    spellings += [email.replace("ss", "\u00df"), email.replace("i", "\u0130", 1), email.replace("e", "E")]
    for spelling in spellings:
        status = await log_in(api, spelling, PASSWORD)
        assert status in (401, 429), f"{spelling!a} is a way around the limit"
        again = {**registration(2), "email": spelling}
        registered = (await api.client.post("/api/register", json=again)).status
        # A spelling is either this address, for every purpose, or another one for every purpose.
        assert registered in ((409,) if status == 429 else (201, 422)), f"{spelling!a}"


async def test_log_ins_from_one_address_are_limited_and_other_addresses_are_not(make_api: MakeApi) -> None:
    api = await make_api(logins_per_minute=2, trusted_proxies=ANY_PROXY)
    someone = await api.register()
    body = {"email": someone.email, "password": PASSWORD}
    first, other = {"X-Forwarded-For": "6.6.6.6, 203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
    for _ in range(2):
        await api.call("POST", "/api/login", 200, json=body, headers=first)
    await refused(api, "POST", "/api/login", json=body, headers={"X-Forwarded-For": "7.7.7.7, 203.0.113.1"})
    await api.call("POST", "/api/login", 200, json=body, headers=other)


async def test_a_client_cannot_choose_the_address_that_is_counted(make_api: MakeApi) -> None:
    api = await make_api(registrations_per_minute=1)
    await api.call("POST", "/api/register", 201, json=registration(1), headers={"X-Forwarded-For": "203.0.113.1"})
    await refused(api, "POST", "/api/register", json=registration(2), headers={"X-Forwarded-For": "203.0.113.2"})


async def test_writes_of_one_account_are_limited_apart_from_reads(make_api: MakeApi) -> None:
    api = await make_api(writes_per_account_minute=3)
    someone, other = await api.register(), await api.register()
    for number in range(3):
        await api.call("PATCH", "/api/me", 200, who=someone, json={"name": f"Name {number}"})
    await refused(api, "PATCH", "/api/me", json={"name": "Too often"}, headers=someone.headers)
    profile = await api.call("GET", "/api/me", 200, who=someone)
    assert profile["name"] == "Name 2"
    await api.call("PATCH", "/api/me", 200, who=other, json={"name": "Other"})
    # A request without a token gets 401, not 429.
    await api.call("PATCH", "/api/me", 401, json={"name": "Nobody"})


async def test_reads_from_one_address_are_limited_over_all_accounts_and_routes(make_api: MakeApi) -> None:
    api = await make_api(reads_per_minute=4, trusted_proxies=ANY_PROXY)
    someone = await api.register()
    await api.call("GET", "/api/me", 200, who=someone)
    await api.call("GET", "/api/listings", 200)
    await api.call("HEAD", "/api/categories", 200)
    await api.call("GET", "/api/me", 401)
    for path in ("/api/me", "/api/listings", "/api/listings/1", "/api/users/1", "/api/conversations"):
        await refused(api, "GET", path, headers=someone.headers)
    await api.call("GET", "/api/listings", 200, headers={"X-Forwarded-For": "203.0.113.1"})
    # Load balancers and Prometheus are not limited, nor is the page.
    for path in ("/health/live", "/metrics", "/"):
        assert (await api.client.get(path)).status == 200


async def test_searches_are_limited_more_tightly_than_other_reads(make_api: MakeApi) -> None:
    api = await make_api(searches_per_minute=2)
    for path in ("/api/listings?q=toyota", "/api/listings?sort=price"):
        await api.call("GET", path, 200)
    await refused(api, "GET", "/api/listings?make=Toyota")
    await api.call("GET", "/api/listings", 200)


async def test_an_account_cannot_collect_profiles(make_api: MakeApi) -> None:
    api = await make_api(profiles_per_minute=2)
    someone, other = await api.register(), await api.register()
    for status in (200, 404):
        await api.call("GET", f"/api/users/{other.id if status == 200 else 99}", status, who=someone)
    await refused(api, "GET", "/api/users/1", headers=someone.headers)
    await api.call("GET", "/api/users/1", 200, who=other)


async def test_writes_from_one_address_are_limited_over_all_accounts(make_api: MakeApi) -> None:
    api = await make_api(writes_per_minute=2)
    someone, other = await api.register(), await api.register()
    for who in (someone, other):
        await api.call("PATCH", "/api/me", 200, who=who, json={"name": "Name"})
    await refused(api, "PATCH", "/api/me", json={"name": "Name"}, headers=other.headers)


async def test_forged_refresh_tokens_use_up_neither_log_ins_nor_refreshes(make_api: MakeApi) -> None:
    api = await make_api(logins_per_minute=2)
    someone = await api.register()
    for status in (401, 401, 429, 429):
        await api.call("POST", "/api/token/refresh", status, json={"refresh_token": "a.1.b"})
    body = {"refresh_token": someone.refresh_token}
    await api.call("POST", "/api/token/refresh", 200, json=body)
    await api.login(someone)


async def test_refreshes_are_limited_by_session(make_api: MakeApi) -> None:
    api = await make_api(refreshes_per_session_minute=2)
    first = await api.register()
    other = await api.login(first)
    for status in (200, 200, 429):
        await api.call("POST", "/api/token/refresh", status, json={"refresh_token": first.refresh_token})
    await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": other.refresh_token})


async def test_wider_ipv6_networks_have_larger_limits_of_their_own(make_api: MakeApi) -> None:
    api = await make_api(logins_per_minute=2, logins_per_account_minute=1000, trusted_proxies=ANY_PROXY)
    someone = await api.register()

    async def allowed(addresses: Iterable[str]) -> int:
        return [await log_in(api, someone.email, PASSWORD, address) for address in addresses].count(200)

    assert await allowed(f"2001:db8:1:0::{n}" for n in range(1, 5)) == 2
    # What was refused in its /64 does not count for the /56.
    assert await allowed(f"2001:db8:1:{n:x}::1" for n in range(1, 20)) == 4 * 2 - 2
    assert await allowed(f"2001:db8:1:{n:x}00::1" for n in range(1, 60)) == 16 * 2 - 4 * 2
    assert await allowed(f"2001:db8:2:{n:x}::1" for n in range(1, 3)) == 2


@pytest.fixture
def cluster_url() -> Iterator[str]:
    with running_cluster() as cluster:
        yield cluster.url


async def test_limits_hold_on_a_redis_cluster(cluster_url: str, make_api: MakeApi) -> None:
    nodes = [await make_api(redis_url=cluster_url, writes_per_account_minute=2) for _ in range(2)]
    # The counts of the address and of the accounts are on several masters.
    people = [await nodes[0].register() for _ in range(4)]
    for someone in people:
        for api in nodes:
            await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
        for api in nodes:
            await refused(api, "PATCH", "/api/me", json={"name": "Name"}, headers=someone.headers)


async def test_limits_can_be_switched_off(make_api: MakeApi) -> None:
    api = await make_api(rate_limits=False, registrations_per_minute=1)
    for number in range(3):
        await api.call("POST", "/api/register", 201, json=registration(number))


async def guesses(api: Api, email: str, count: int) -> list[int]:
    """Send this many wrong passwords for one account at the same time; return the statuses."""
    body = {"email": email, "password": "wrong horse"}

    async def guess(client: ClientSession) -> int:
        async with client.post(api.client.make_url("/api/login"), json=body) as response:
            return response.status

    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        return await asyncio.gather(*(guess(client) for _ in range(count)))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of 2,000 connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
async def test_two_thousand_log_ins_at_once_compare_no_more_passwords_than_the_limit(
    make_api: MakeApi, compared: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    api = await make_api(logins_per_account_minute=20)
    someone = await api.register()
    statuses = await guesses(api, someone.email, 2000)
    assert set(statuses) == {401, 429}
    # The twentieth guess may be in another minute than the first.
    assert 1 <= len(compared) == statuses.count(401) <= 21
    assert "rate limits counted in this process" not in caplog.messages


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
    is_away = True

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_away:
            writer.close()
            return
        opening = (
            asyncio.open_unix_connection(url.path)
            if url.scheme == "unix"
            else asyncio.open_connection(url.hostname, url.port)
        )
        far_reader, far_writer = await opening
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        port = proxy.sockets[0].getsockname()[1]
        api = await make_api(redis_url=f"redis://127.0.0.1:{port}/0", writes_per_account_minute=1)
        someone = await api.register()
        await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
        assert [one for one in caplog.messages if "rate limits" in one] == ["rate limits counted in this process"]
        is_away = False
        await until(lambda: "rate limits counted in Redis again" in caplog.messages)
        other = await make_api(writes_per_account_minute=1)
        await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Name"})
        await refused(other, "PATCH", "/api/me", json={"name": "Name"}, headers=someone.headers)
    finally:
        # From Python 3.12 on, waiting for the end of the server would wait for the API's open connections.
        proxy.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_a_redis_that_does_not_answer_delays_only_one_request(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    silent = await asyncio.start_server(_never_answer, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent:
        api = await make_api(redis_url=f"redis://127.0.0.1:{port}/0", registrations_per_minute=5)
        for number in range(5):
            await api.call("POST", "/api/register", 201, json=registration(number))
        await refused(api, "POST", "/api/register", json=registration(5))
        # A request that waits in vain writes this line.
        assert caplog.messages.count("rate limits counted in this process") == 1


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass
    writer.close()


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
