"""Limits on registering, logging in, reading and writing, by address and by account, counted over all nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from tests.api.attempts import ANY_PROXY, log_in, refused, registration
from tests.api.conftest import PASSWORD, Api, MakeApi
from tests.api.rows import Rows
from tests.api.trips import counted_trips

pytestmark = pytest.mark.usefixtures("at_rest")


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
    api = await make_api(reads_per_minute=5, trusted_proxies=ANY_PROXY)
    someone = await api.register()
    [module] = re.findall(r'src="(/web/[^"]+/all\.js)"', await (await api.client.get("/")).text())
    await api.call("GET", "/api/me", 200, who=someone)
    await api.call("GET", "/api/listings", 200)
    await api.call("HEAD", "/api/categories", 200)
    await api.call("GET", "/api/me", 401)
    for path in ("/api/me", "/api/listings", "/api/listings/1", "/api/users/1", "/api/conversations"):
        await refused(api, "GET", path, headers=someone.headers)
    await api.call("GET", "/api/listings", 200, headers={"X-Forwarded-For": "203.0.113.1"})
    # A page with content reads as well, and is refused as a page.
    page = await api.client.get("/", headers={"Accept": "text/html"})
    assert (page.status, page.content_type) == (429, "text/html")
    # Load balancers and Prometheus are not limited, nor are the files of the page.
    for path in ("/health/live", "/metrics", module):
        assert (await api.client.get(path)).status == 200, path


async def test_attempts_of_those_who_may_not_are_limited_before_postgres_is_asked(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    api = await make_api(reads_per_minute=8, writes_per_minute=8)
    someone, banned = await api.register(), await api.register()
    await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", banned.id)
    for _ in range(3):
        await api.call("POST", "/api/categories", 403, who=someone, json={"name": "Mine"})
        await api.call("POST", "/api/messages", 403, who=banned, json={"to": someone.id, "message": "Hi"})
    for path, who in (("/api/categories", someone), ("/api/messages", banned), ("/api/messages", None)):
        with counted_trips(monkeypatch) as trips:
            await refused(api, "POST", path, headers=who.headers if who else {}, json={})
        assert trips == []
    await api.call("GET", "/api/me", 200, who=someone)
    # What is counted by devices and sessions is not kept out by others at the same address.
    await api.login(someone)
    await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": someone.refresh_token})


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
    # A block is answered with a profile, too.
    await refused(api, "PUT", f"/api/users/{other.id}/block", headers=someone.headers)


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


async def test_limits_can_be_switched_off(make_api: MakeApi) -> None:
    api = await make_api(rate_limits=False, registrations_per_minute=1)
    for number in range(3):
        await api.call("POST", "/api/register", 201, json=registration(number))
