"""A user's sessions: listing them, and ending all others together with every token that has no session."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.events.control import CONTROL, DISCONNECT
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, Broadcasts, MakeApi, Person

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
    assert set(everything[0]) == {"id", "created_at", "expires_at", "current"}
    assert [one["created_at"] for one in everything] == sorted((one["created_at"] for one in everything), reverse=True)
    first = await api.call("GET", "/api/me/sessions?limit=3", 200, who=latest)
    params = {"cursor": first["next_cursor"]}
    rest = await api.call("GET", "/api/me/sessions", 200, who=latest, params=params)
    assert first["data"] + rest["data"] == everything
    await api.call("POST", "/api/logout", 204, who=someone)
    assert len((await api.call("GET", "/api/me/sessions", 200, who=latest))["data"]) == 3
