"""Limits on guessing a password, which stop the guesser and not the owner of the account."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from tests.api.attempts import ANY_PROXY, guesses, log_in, refused, registration
from tests.api.conftest import PASSWORD, MakeApi
from tests.api.trips import counted_trips

pytestmark = pytest.mark.usefixtures("at_rest")


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


async def test_a_wrong_password_costs_the_same_statements_whether_or_not_there_is_such_an_account(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m tests.bench.timing` compares the times."""
    api = await make_api(rate_limits=False)
    someone = await api.register()
    costs = []
    for email in (someone.email, "nobody@example.com", "no address at all", someone.email):
        with counted_trips(monkeypatch) as trips:
            assert await log_in(api, email, "wrong horse") == 401
        costs.append([trip.partition("(")[0] for trip in trips])
    # The first request prepares the statement.
    assert costs[1] == costs[2] == costs[3]
    assert len(costs[1]) == 1


@pytest.mark.parametrize("has_device", [False, True])
async def test_whoever_has_no_log_in_or_guess_left_costs_no_query(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, has_device: bool
) -> None:
    api = await make_api(logins_per_account_minute=2, guesses_per_account_minute=2)
    someone, device = await api.register(), None
    if has_device:
        # Somebody else's device.
        device = (await api.call("POST", "/api/register", 201, json=registration(1)))["device_id"]
    assert [await log_in(api, someone.email, "wrong horse", device=device) for _ in range(2)] == [401, 401]
    with counted_trips(monkeypatch) as trips:
        assert await log_in(api, someone.email, "wrong horse", device=device) == 429
    assert trips == []


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
    limits = {"logins_per_account_minute": 2, "guesses_per_account_minute": 3, "max_address_links": 10}
    api = await make_api(trusted_proxies=ANY_PROXY, **limits)
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
    # Two thousand of them may wait for Postgres for longer than a request usually may.
    api = await make_api(logins_per_account_minute=20, database_timeout_seconds=60.0)
    someone = await api.register()
    statuses = await guesses(api, someone.email, 2000)
    assert set(statuses) == {401, 429}
    # The twentieth guess may be in another minute than the first.
    assert 1 <= len(compared) == statuses.count(401) <= 21
    assert "rate limits counted in this process" not in caplog.messages
