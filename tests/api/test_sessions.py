"""A user's sessions: listing them, and ending all others together with every token that has no session."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from api.places import device_of
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.events.control import CONTROL, DISCONNECT
from shared.settings import Settings
from tests.api.attempts import ANY_PROXY
from tests.api.conftest import PASSWORD, Api, Broadcasts, MakeApi, Person, person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

NEW = "another horse battery"
CHANGE = {"password": NEW, "current_password": PASSWORD}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def without_a_session(settings: Settings, user_id: int) -> list[dict[str, str]]:
    """Headers with tokens of the command line and of other issuers, some of which do not say when they were issued."""
    now = time.time()
    claims: list[dict[str, Any]] = [
        {"iat": int(now) - 5, "jti": "x"}, {"iat": int(now) - 5}, {}, {"iat": now - 5, "sid": f"theirs of {user_id}"},
    ]  # fmt: skip
    own = Tokens(settings.jwt_secrets, 60, clock=lambda: now - 5).issue(user_id, Role.USER, None)
    others = [jwt.encode({"sub": str(user_id), "exp": now + 99, **one}, settings.jwt_secrets[0]) for one in claims]
    # PyJWT refuses to make such a claim.
    odd = jwt.PyJWS().encode(b'{"sub": "%d", "exp": %d, "iat": "soon"}' % (user_id, now + 99), settings.jwt_secrets[0])
    return [bearer(token) for token in (own, *others, odd)]


async def ended(api: Api, someone: Person, headers: dict[str, str], how: str) -> None:
    if how == "password":
        await api.call("PATCH", "/api/me", 200, json=CHANGE, headers=headers)
    else:
        await api.call("DELETE", "/api/me/sessions", 204, headers=headers)


@pytest.mark.parametrize("how", ["password", "everywhere else"])
async def test_all_other_sessions_and_tokens_end(
    api: Api, settings: Settings, broadcasts: Broadcasts, how: str
) -> None:
    someone, other = await api.register(), await api.register()
    elsewhere = await api.login(someone)
    tokens = without_a_session(settings, someone.id)
    for headers in (*tokens, *without_a_session(settings, other.id)):
        await api.call("GET", "/api/me", 200, headers=headers)
    broadcasts.seen.clear()
    await ended(api, someone, elsewhere.headers, how)
    for headers in (someone.headers, *tokens):
        await api.call("GET", "/api/me", 401, headers=headers)
    await api.call("POST", "/api/token/refresh", 401, json={"refresh_token": someone.refresh_token})
    await api.call("GET", "/api/me", 200, who=elsewhere)
    for headers in (other.headers, *without_a_session(settings, other.id)):
        await api.call("GET", "/api/me", 200, headers=headers)
    [(topic, event, payload)] = broadcasts.seen
    assert (topic, event) == (CONTROL, DISCONNECT)
    [own] = [one["id"] for one in (await api.call("GET", "/api/me/sessions", 200, who=elsewhere))["data"]]
    assert payload == {"user_id": someone.id, "session_id": None, "kept_session_id": own}
    again = await api.login(someone, NEW if how == "password" else PASSWORD)
    await api.call("GET", "/api/me", 200, who=again)


@pytest.mark.parametrize("how", ["password", "everywhere else"])
async def test_the_token_of_the_request_is_kept_even_without_a_session(api: Api, settings: Settings, how: str) -> None:
    someone = await api.register()
    kept, *others = without_a_session(settings, someone.id)
    await ended(api, someone, kept, how)
    await api.call("GET", "/api/me", 200, headers=kept)
    for headers in (someone.headers, *others):
        await api.call("GET", "/api/me", 401, headers=headers)
    await api.call("POST", "/api/logout", 204, headers=kept)
    await api.call("GET", "/api/me", 401, headers=kept)


async def test_a_change_of_the_name_ends_nothing(api: Api, settings: Settings) -> None:
    someone = await api.register()
    elsewhere = await api.login(someone)
    await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Renamed"})
    for headers in (elsewhere.headers, *without_a_session(settings, someone.id)):
        await api.call("GET", "/api/me", 200, headers=headers)


async def test_sessions_are_listed_latest_first_in_pages(make_api: MakeApi) -> None:
    api = await make_api()
    someone = await api.register()
    await api.register("Somebody else")
    latest = [await api.login(someone) for _ in range(3)][-1]
    everything = (await api.call("GET", "/api/me/sessions", 200, who=latest))["data"]
    assert [one["current"] for one in everything] == [True, False, False, False]
    assert set(everything[0]) == {"id", "created_at", "expires_at", "used_at", "device", "address", "current"}
    assert [one["created_at"] for one in everything] == sorted((one["created_at"] for one in everything), reverse=True)
    first = await api.call("GET", "/api/me/sessions?limit=3", 200, who=latest)
    params = {"cursor": first["next_cursor"]}
    rest = await api.call("GET", "/api/me/sessions", 200, who=latest, params=params)
    assert first["data"] + rest["data"] == everything
    await api.call("POST", "/api/logout", 204, who=someone)
    assert len((await api.call("GET", "/api/me/sessions", 200, who=latest))["data"]) == 3


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "


async def test_a_session_says_on_which_device_and_where_it_was_used_last(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(trusted_proxies=ANY_PROXY)
    someone = await api.register()
    body = {"email": someone.email, "password": PASSWORD}
    headers = {"User-Agent": FIREFOX, "X-Forwarded-For": "203.0.113.7"}
    begun = person(await api.call("POST", "/api/login", 200, json=body, headers=headers))
    await rows.execute("UPDATE sessions SET created_at = created_at - interval '2 hours'")
    [session, _] = (await api.call("GET", "/api/me/sessions", 200, who=begun))["data"]
    assert (session["device"], session["address"]) == ("Firefox on Linux", "203.0.113.7")
    assert session["used_at"] == session["created_at"]
    headers = {"User-Agent": IPHONE + "Mobile/15E148 Safari/604.1", "X-Forwarded-For": "2001:db8:1:2:3::4"}
    refresh = {"refresh_token": begun.refresh_token}
    await api.call("POST", "/api/token/refresh", 200, json=refresh, headers=headers)
    [session, _] = (await api.call("GET", "/api/me/sessions", 200, who=begun))["data"]
    assert (session["device"], session["address"]) == ("Safari on iPhone", "2001:db8:1:2::/64")
    assert session["used_at"] > session["created_at"]


async def test_one_session_is_ended_from_another_one(api: Api, broadcasts: Broadcasts) -> None:
    someone, other = await api.register(), await api.register()
    elsewhere, third = await api.login(someone), await api.login(someone)
    sessions = (await api.call("GET", "/api/me/sessions", 200, who=someone))["data"]
    ids = [one["id"] for one in sessions]
    broadcasts.seen.clear()
    # Nobody else's, and none that never was.
    await api.call("DELETE", f"/api/me/sessions/{ids[1]}", 404, who=other)
    for unknown in ("x", "jti:1:x", "%00", "%ED%A0%80", "x" * 300):
        await api.call("DELETE", f"/api/me/sessions/{unknown}", 404, who=someone)
    assert broadcasts.seen == []
    await api.call("DELETE", f"/api/me/sessions/{ids[1]}", 204, who=someone)
    assert broadcasts.seen == [(CONTROL, DISCONNECT, {"user_id": someone.id, "session_id": ids[1]})]
    await api.call("GET", "/api/me", 401, who=elsewhere)
    await api.call("POST", "/api/token/refresh", 401, json={"refresh_token": elsewhere.refresh_token})
    for still in (someone, third):
        await api.call("GET", "/api/me", 200, who=still)
    await api.call("DELETE", f"/api/me/sessions/{ids[1]}", 404, who=someone)
    assert [one["id"] for one in (await api.call("GET", "/api/me/sessions", 200, who=third))["data"]] == [
        ids[0],
        ids[2],
    ]


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0 Safari/537.36 "
         "Edg/139.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0 Mobile Safari/537.36",
         "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML) Version/18 Safari/605",
         "Safari on Mac"),
        ("Daveslist/7 CFNetwork/1.0 Darwin/24.5", "Daveslist on Mac"), ("curl/8.5.0", "curl"),
        ("Mozilla/5.0", ""), ("", ""), ("\u202e<script>", ""), ("x" * 5000, "x" * 40), ("Mozilla/5.0 (X11)", "Linux"),
    ],
)  # fmt: skip
def test_a_device_is_named_in_a_few_words(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device


async def test_an_admin_sees_somebodys_devices_without_addresses_and_disconnects_one(
    make_api: MakeApi, rows: Rows
) -> None:
    api = await make_api(trusted_proxies=ANY_PROXY)
    someone, admin = await api.register(), await api.register("Root", Role.ADMIN)
    body = {"email": someone.email, "password": PASSWORD}
    headers = {"User-Agent": FIREFOX, "X-Forwarded-For": "203.0.113.7"}
    begun = person(await api.call("POST", "/api/login", 200, json=body, headers=headers))
    path = f"/api/users/{someone.id}/sessions"
    first = await api.call("GET", f"{path}?limit=1", 200, who=admin)
    rest = await api.call("GET", path, 200, who=admin, params={"cursor": first["next_cursor"]})
    assert (len(first["data"]), len(rest["data"])) == (1, 1)
    [device] = first["data"]
    assert set(device) == {"id", "created_at", "used_at", "device"}
    assert device["device"] == "Firefox on Linux"
    # Somebody else's session is none of this person.
    own = (await api.call("GET", "/api/me/sessions", 200, who=admin))["data"][0]["id"]
    for unknown in (own, "nothing", "%00"):
        await api.call("DELETE", f"{path}/{unknown}", 404, who=admin)
    await api.call("GET", "/api/me", 200, who=begun)
    await api.call("DELETE", f"{path}/{device['id']}", 204, who=admin)
    await api.call("GET", "/api/me", 401, who=begun)
    await api.call("POST", "/api/token/refresh", 401, json={"refresh_token": begun.refresh_token})
    await api.call("GET", "/api/me", 200, who=someone)
    await api.call("DELETE", f"{path}/{device['id']}", 404, who=admin)
    [act] = await rows.fetch("SELECT actor_id, target_id FROM audit WHERE action = 'session_end'")
    assert act == (admin.id, someone.id)
