"""Logging in with a passkey: what a device answers counts once, for this site, and only with its owner's key."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from api.challenges import SECONDS, Challenges
from shared.domain.passkeys import MAX_PASSKEYS
from tests.api.conftest import PASSWORD, Api, MakeApi, Person, person
from tests.api.rows import Rows
from tests.support.authenticator import Authenticator, encoded

pytestmark = pytest.mark.usefixtures("at_rest")

SITE, HOST = "https://cars.example.com", "cars.example.com"
NOW = {"current_password": PASSWORD}


@pytest.fixture
async def site(make_api: MakeApi) -> Api:
    return await make_api(site_url=SITE, rate_limits=False)


async def options(api: Api, who: Person | None = None) -> dict[str, Any]:
    if who is None:
        return dict((await api.call("POST", "/api/login/passkey/options", 200))["options"])
    answer = await api.call("POST", "/api/me/passkeys/options", 200, who=who, json=NOW)
    return dict(answer["options"])


async def add(api: Api, who: Person, device: Authenticator, status: int = 201) -> Any:
    body = {"name": "My phone", "credential": device.create(await options(api, who))}
    return await api.call("POST", "/api/me/passkeys", status, who=who, json=body)


async def log_in(api: Api, credential: Any, status: int = 200) -> Any:
    return await api.call("POST", "/api/login/passkey", status, json={"credential": credential})


async def test_a_passkey_logs_its_owner_in_until_it_is_removed(site: Api) -> None:
    ann, bob = await site.register(), await site.register()
    device = Authenticator(SITE, HOST)
    asked = await options(site, ann)
    assert (asked["rp"]["id"], asked["user"]["name"]) == (HOST, ann.email)
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    added = await add(site, ann, device)
    assert (added["name"], added["used_at"]) == ("My phone", None)
    assert (await options(site, ann))["excludeCredentials"][0]["id"] == encoded(device.name)
    answer = await log_in(site, device.get(await options(site)))
    assert answer["user"]["id"] == ann.id
    assert answer["device_id"]
    await site.call("GET", "/api/me", 200, who=person(answer))
    [stored] = (await site.call("GET", "/api/me/passkeys", 200, who=ann))["data"]
    assert stored["used_at"] is not None
    assert (await site.call("GET", "/api/me/passkeys", 200, who=bob))["data"] == []
    path = f"/api/me/passkeys/{added['id']}"
    await site.call("DELETE", path, 404, who=bob, json=NOW)
    await site.call("DELETE", path, 403, who=ann, json={"current_password": "wrong horse"})
    await site.call("DELETE", path, 204, who=ann, json=NOW)
    await log_in(site, device.get(await options(site)), 401)


async def test_an_answer_counts_once_and_for_its_purpose_only(site: Api) -> None:
    ann, bob = await site.register(), await site.register()
    device, other = Authenticator(SITE, HOST), Authenticator(SITE, HOST)
    await add(site, ann, device)
    answer = device.get(await options(site))
    await log_in(site, answer)
    # The same answer again, and with a count that would do.
    assert (await log_in(site, answer, 401))["type"] == "/problems/passkey-refused"
    asked = await options(site)
    await log_in(site, device.get(asked))
    await log_in(site, device.get(asked), 401)
    # A challenge of a registration is none of a log-in, and one of Ann's none of Bob's.
    await log_in(site, device.get(await options(site, ann)), 401)
    for challenge in (await options(site), await options(site, ann)):
        body = {"name": "x", "credential": other.create(challenge)}
        await site.call("POST", "/api/me/passkeys", 422, who=bob, json=body)
    asked = await options(site, bob)
    body = {"name": "x", "credential": other.create(asked)}
    await site.call("POST", "/api/me/passkeys", 201, who=bob, json=body)
    body = {"name": "x", "credential": Authenticator(SITE, HOST).create(asked)}
    await site.call("POST", "/api/me/passkeys", 422, who=bob, json=body)
    # A device that is known to somebody cannot be somebody else's too.
    assert (await add(site, ann, other, 409))["type"] == "/problems/passkey-known"


WRONG: dict[str, Callable[[Authenticator], object]] = {
    "another site": lambda device: setattr(device, "origin", "https://cars.example.com.evil.example"),
    "without TLS": lambda device: setattr(device, "origin", "http://cars.example.com"),
    "another host": lambda device: setattr(device, "host", "evil.example"),
    "not verified": lambda device: setattr(device, "flags", 0x01),
    "nobody there": lambda device: setattr(device, "flags", 0x04),
    "another key": lambda device: setattr(device, "key", Authenticator(SITE, HOST).key),
    "a copy that counts behind": lambda device: setattr(device, "count", 0),
    "an unknown key": lambda device: setattr(device, "name", b"x" * 32),
}


async def test_a_wrong_answer_logs_nobody_in(site: Api) -> None:
    ann = await site.register()
    device = Authenticator(SITE, HOST)
    await add(site, ann, device)
    await log_in(site, device.get(await options(site)))
    for kind, spoil in WRONG.items():
        spoiled = copy.copy(device)
        spoil(spoiled)
        problem = await log_in(site, spoiled.get(await options(site)), 401)
        assert problem["type"] == "/problems/passkey-refused", kind
    good = device.get(await options(site))
    odd: list[Any] = [{}, {"id": good["id"]}, {**good, "response": None}, {**good, "response": {}}, {**good, "id": 5}]
    odd += [
        {**good, "response": {**good["response"], name: value}}
        for name in good["response"]
        for value in ("", "\u00e9", 5, "AAAA")
    ]
    odd += [
        {**good, "type": "x"},
        {**good, "id": "\u00e9"},
        {**good, "id": "\0"},
        {**good, "id": "\ud800"},
        {**good, "rawId": "AAAA"},
    ]
    for credential in odd:
        await log_in(site, credential, 401)
    await log_in(site, good)


async def test_a_banned_owner_stays_outside_and_a_passkey_goes_with_its_account(site: Api, rows: Rows) -> None:
    ann = await site.register()
    device = Authenticator(SITE, HOST)
    await add(site, ann, device)
    await rows.execute("UPDATE users SET banned_at = now(), ban_reason = 'fraud'")
    assert (await log_in(site, device.get(await options(site)), 403))["type"] == "/problems/banned"
    await rows.execute("UPDATE users SET banned_at = NULL")
    await site.call("DELETE", "/api/me", 204, who=ann, json=NOW)
    await log_in(site, device.get(await options(site)), 401)
    assert await rows.fetch("SELECT FROM passkeys") == []


async def test_an_account_has_a_bounded_number_of_passkeys(site: Api, rows: Rows) -> None:
    ann = await site.register()
    sql = """INSERT INTO passkeys (user_id, credential_id, public_key, sign_count, name)
             SELECT %s, 'c' || n, 'k', 0, 'x' FROM generate_series(1, %s) n"""
    await rows.execute(sql, ann.id, MAX_PASSKEYS)
    assert (await add(site, ann, Authenticator(SITE, HOST), 409))["type"] == "/problems/too-many-passkeys"


def test_a_challenge_is_read_back_for_a_while_with_the_services_secrets() -> None:
    now = [1000.0]
    issuer = Challenges(("a" * 40, "b" * 40), lambda: now[0])
    challenge = issuer.issue("register", 7)
    text = encoded(challenge)
    assert issuer.read(text, "register", 7) == challenge
    assert Challenges(("b" * 40, "a" * 40), lambda: now[0]).read(text, "register", 7) == challenge
    wrong = [issuer.read(text, "log in", 7), issuer.read(text, "register", 8), issuer.read(text[:-2], "register", 7)]
    odd: list[object] = ["", "\u00e9", None, 5, {}, encoded(challenge[:24] + bytes(32))]
    wrong += [issuer.read(one, "register", 7) for one in odd]
    wrong.append(Challenges(("c" * 40,), lambda: now[0]).read(text, "register", 7))
    now[0] += SECONDS
    wrong.append(issuer.read(text, "register", 7))
    assert wrong == [None] * len(wrong)
