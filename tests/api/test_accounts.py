"""Registering, logging in, tokens, the user's own profile, and leaving."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest

from shared.domain.users import Role
from shared.events.control import CONTROL, DISCONNECT, SELLER_CHANGED
from shared.postgres import Statement
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, Broadcasts, Person, checked
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


async def test_register_answers_the_user_and_tokens(api: Api) -> None:
    body = {"email": "Dave@Example.com", "password": PASSWORD, "name": "Dave"}
    answer = await api.call("POST", "/api/register", 201, json=body)
    assert answer["user"].items() >= {"id": 1, "email": "Dave@Example.com", "name": "Dave", "role": "user"}.items()
    assert answer["user"]["created_at"].endswith("Z")
    assert answer["expires_in"] == 3600
    assert set(answer) == {"user", "access_token", "refresh_token", "expires_in", "device_id"}


async def test_an_access_token_has_the_promised_claims(api: Api, settings: Settings) -> None:
    someone = await api.register()
    claims = jwt.decode(someone.access_token, settings.jwt_secrets[0], algorithms=["HS256"])
    assert claims["sub"] == "1"
    assert claims["role"] == "user"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["jti"]


async def test_an_email_is_taken_whatever_its_case(api: Api) -> None:
    body = {"email": "dave@example.com", "password": PASSWORD, "name": "Dave"}
    await api.call("POST", "/api/register", 201, json=body)
    problem = await api.call("POST", "/api/register", 409, json={**body, "email": "DAVE@example.com"})
    assert problem["type"] == "/problems/email-taken"


async def test_two_concurrent_registrations_of_one_email_make_one_account(api: Api) -> None:
    body = {"email": "dave@example.com", "password": PASSWORD, "name": "Dave"}
    responses = await asyncio.gather(*(api.client.post("/api/register", json=body) for _ in range(4)))
    assert sorted(response.status for response in responses) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "a@" + "b" * 300 + ".com"}, "email"),
        ({"email": None}, "email"),
        ({"email": 5}, "email"),
        ({"email": "a\x00@example.com"}, "email"),
        ({"password": "seven77"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"password": "\ud800" * 10}, "password"),
        ({"name": " \t "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "nul \x00"}, "name"),
        ({"name": "half \ud83d"}, "name"),
        ({"name": ["x"]}, "name"),
        ({"role": "admin"}, "role"),
        ({"odd \ud800": 1}, "odd ?"),
    ],
)
async def test_every_wrong_field_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    body = {"email": "dave@example.com", "password": PASSWORD, "name": "Dave", **change}
    problem = await api.call("POST", "/api/register", 422, json=body)
    assert set(problem["errors"]) == {field}
    assert isinstance(problem["errors"][field], list)


async def test_every_missing_field_is_named(api: Api) -> None:
    problem = await api.call("POST", "/api/register", 422, json={})
    assert set(problem["errors"]) == {"email", "password", "name"}


async def test_a_failed_login_does_not_tell_whether_the_email_is_known(api: Api) -> None:
    someone = await api.register()
    again = await api.call("POST", "/api/login", 200, json={"email": someone.email.upper(), "password": PASSWORD})
    assert again["user"]["id"] == someone.id
    wrong = await api.call("POST", "/api/login", 401, json={"email": someone.email, "password": "wrong horse"})
    unknown = await api.call("POST", "/api/login", 401, json={"email": "nobody@example.com", "password": "wrong horse"})
    assert wrong == unknown


@pytest.mark.usefixtures("real_hashes")
async def test_a_login_with_an_unknown_email_takes_as_long_as_with_a_known_one(api: Api) -> None:
    someone = await api.register()

    times: dict[str, list[float]] = {someone.email: [], "nobody@example.com": []}
    # CPU time, because other processes do not lengthen it. The two take turns, because this process has other threads.
    for _ in range(5):
        for email, taken in times.items():
            started = time.process_time()
            await api.call("POST", "/api/login", 401, json={"email": email, "password": "wrong horse"})
            taken.append(time.process_time() - started)
    assert min(times["nobody@example.com"]) > 0.5 * min(times[someone.email])


async def test_each_refresh_gives_a_new_refresh_token(api: Api) -> None:
    someone = await api.register()
    first = await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": someone.refresh_token})
    second = await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": first["refresh_token"]})
    assert len({someone.refresh_token, first["refresh_token"], second["refresh_token"]}) == 3
    await api.call("GET", "/api/me", 200, headers={"Authorization": f"Bearer {second['access_token']}"})


async def test_a_refresh_works_with_a_bad_access_token_in_the_header(api: Api) -> None:
    someone = await api.register()
    body = {"refresh_token": someone.refresh_token}
    await api.call("POST", "/api/token/refresh", 200, json=body, headers={"Authorization": "Bearer expired"})


async def refreshed(api: Api, token: str, status: int = 200) -> Any:
    return await api.call("POST", "/api/token/refresh", status, json={"refresh_token": token})


async def make_older(rows: Rows, seconds: float) -> None:
    await rows.execute("UPDATE sessions SET rotated_at = rotated_at - make_interval(secs => %s)", seconds)


async def test_a_repeated_refresh_gets_the_same_new_token_again(api: Api, broadcasts: Broadcasts) -> None:
    someone = await api.register()
    lost = await refreshed(api, someone.refresh_token)
    again = await refreshed(api, someone.refresh_token)
    assert again["refresh_token"] == lost["refresh_token"]
    for answer in (lost, again):
        await api.call("GET", "/api/me", 200, headers={"Authorization": f"Bearer {answer['access_token']}"})
    following = await refreshed(api, again["refresh_token"])
    assert following["refresh_token"] != again["refresh_token"]
    await api.call("GET", "/api/me", 200, who=someone)
    assert broadcasts.seen == []


async def test_concurrent_refreshes_with_one_token_all_get_the_same_new_token(api: Api) -> None:
    someone = await api.register()
    answers = await asyncio.gather(*(refreshed(api, someone.refresh_token) for _ in range(8)))
    assert len({answer["refresh_token"] for answer in answers}) == 1
    await refreshed(api, answers[0]["refresh_token"])


async def assert_ended(api: Api, someone: Person, tokens: Any, broadcasts: Broadcasts) -> None:
    await refreshed(api, tokens["refresh_token"], 401)
    await api.call("GET", "/api/me", 401, headers={"Authorization": f"Bearer {tokens['access_token']}"})
    await api.call("GET", "/api/me", 401, who=someone)
    [(topic, event, payload)] = broadcasts.seen
    assert (topic, event) == (CONTROL, DISCONNECT)
    assert payload["user_id"] == someone.id
    assert payload["session_id"]


async def test_a_refresh_token_used_again_later_ends_its_session(
    api: Api, rows: Rows, broadcasts: Broadcasts, settings: Settings
) -> None:
    someone = await api.register()
    elsewhere = await api.login(someone)
    fresh = await refreshed(api, someone.refresh_token)
    await make_older(rows, settings.refresh_grace_seconds - 5)
    assert (await refreshed(api, someone.refresh_token))["refresh_token"] == fresh["refresh_token"]
    # Being shown again does not make its time longer.
    await make_older(rows, 5)
    await refreshed(api, someone.refresh_token, 401)
    await assert_ended(api, someone, fresh, broadcasts)
    await api.call("GET", "/api/me", 200, who=elsewhere)


async def test_an_old_refresh_token_ends_its_session_once_the_new_one_was_used(
    api: Api, broadcasts: Broadcasts
) -> None:
    someone = await api.register()
    second = await refreshed(api, someone.refresh_token)
    third = await refreshed(api, second["refresh_token"])
    await refreshed(api, someone.refresh_token, 401)
    await assert_ended(api, someone, third, broadcasts)


async def test_a_repeated_refresh_is_refused_when_its_session_has_ended(api: Api) -> None:
    someone = await api.register()
    await refreshed(api, someone.refresh_token)
    await api.call("POST", "/api/logout", 204, who=someone)
    await refreshed(api, someone.refresh_token, 401)


async def test_a_repeated_refresh_is_refused_when_its_user_is_banned(api: Api, rows: Rows) -> None:
    someone = await api.register()
    await refreshed(api, someone.refresh_token)
    await rows.execute("UPDATE users SET banned_at = now()")
    await refreshed(api, someone.refresh_token, 403)


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "..", "x.1.", "x.99999999999.y", "é.1.é", "\ud800.1.x", "x" * 2000]
)
async def test_a_malformed_refresh_token_is_refused(api: Api, token: str) -> None:
    response = await api.client.post("/api/token/refresh", json={"refresh_token": token})
    assert response.status in (401, 422)


async def test_log_out_ends_the_session_and_its_access_token_at_once(api: Api, broadcasts: Broadcasts) -> None:
    someone = await api.register()
    elsewhere = await api.login(someone)
    await api.call("POST", "/api/logout", 204, who=someone)
    await api.call("GET", "/api/me", 401, who=someone)
    await api.call("POST", "/api/token/refresh", 401, json={"refresh_token": someone.refresh_token})
    await api.call("GET", "/api/me", 200, who=elsewhere)
    assert [seen[:2] for seen in broadcasts.seen] == [(CONTROL, DISCONNECT)]


@pytest.mark.parametrize("extra", [{}, {"jti": "one"}, {"jti": 7}, {"sid": "nul \x00", "role": "emperor"}])
async def test_a_token_without_a_session_can_be_logged_out(api: Api, settings: Settings, extra: dict[str, Any]) -> None:
    await api.register()
    claims = {"sub": "1", "exp": time.time() + 60, **extra}
    foreign = {"Authorization": "bearer " + jwt.encode(claims, settings.jwt_secrets[0])}
    other = {"Authorization": "Bearer " + jwt.encode({**claims, "jti": "other"}, settings.jwt_secrets[0])}
    await api.call("GET", "/api/me", 200, headers=foreign)
    await api.call("POST", "/api/logout", 204, headers=foreign)
    for odd in ("", "=", "==", ".", "!"):
        await api.call("GET", "/api/me", 401, headers={"Authorization": foreign["Authorization"] + odd})
    await api.call("GET", "/api/me", 200, headers=other)


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "Basic abc", "Bearer a.b.c", "Bearer \xff", "x", "Bearer " + "a" * 4000],
)
async def test_a_malformed_token_is_401(api: Api, header: str) -> None:
    await api.call("GET", "/api/me", 401, headers={"Authorization": header})


async def test_forged_and_expired_tokens_are_401(api: Api, settings: Settings) -> None:
    await api.register()
    now = time.time()
    good = {"sub": "1", "exp": now + 60}
    refused: list[tuple[dict[str, Any], str]] = [
        (good, "another-secret-another-secret-another-secret"),
        ({"sub": "1", "exp": now - 1}, settings.jwt_secrets[0]),
        ({"sub": "1"}, settings.jwt_secrets[0]),
        ({"exp": now + 60}, settings.jwt_secrets[0]),
        ({"sub": "99", "exp": now + 60}, settings.jwt_secrets[0]),
        ({"sub": "0", "exp": now + 60}, settings.jwt_secrets[0]),
        ({"sub": str(2**63), "exp": now + 60}, settings.jwt_secrets[0]),
        ({"sub": ["1"], "exp": now + 60}, settings.jwt_secrets[0]),
        ({"sub": "1", "exp": "soon"}, settings.jwt_secrets[0]),
    ]
    for claims, secret in refused:
        headers = {"Authorization": "Bearer " + jwt.encode(claims, secret)}
        await api.call("GET", "/api/me", 401, headers=headers)
    await api.call("GET", "/api/me", 401, headers={"Authorization": "Bearer " + jwt.encode(good, "", algorithm="none")})
    await api.call(
        "GET", "/api/me", 200, headers={"Authorization": "Bearer " + jwt.encode(good, settings.jwt_secrets[0])}
    )


async def test_the_profile_can_be_changed(api: Api) -> None:
    someone = await api.register()
    changed = await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Dave \U0001f697"})
    assert changed["name"] == "Dave \U0001f697"
    assert await api.call("GET", "/api/me", 200, who=someone) == changed


async def test_a_change_of_email_needs_the_current_password(api: Api) -> None:
    someone = await api.register()
    body: dict[str, Any] = {"email": "new@example.com"}
    problem = await api.call("PATCH", "/api/me", 422, who=someone, json=body)
    assert "current_password" in problem["errors"]
    await api.call("PATCH", "/api/me", 403, who=someone, json={**body, "current_password": "wrong horse"})
    assert (await api.call("GET", "/api/me", 200, who=someone))["email"] == someone.email
    changed = await api.call("PATCH", "/api/me", 200, who=someone, json={**body, "current_password": PASSWORD})
    assert changed["email"] == "new@example.com"


async def test_a_user_cannot_change_to_a_taken_email(api: Api) -> None:
    someone, other = await api.register(), await api.register()
    body = {"email": other.email.upper(), "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 409, who=someone, json=body)
    await api.call("PATCH", "/api/me", 200, who=someone, json={**body, "email": someone.email.upper()})


async def test_a_user_cannot_change_to_an_email_that_a_concurrent_registration_takes(api: Api, rows: Rows) -> None:
    someone = await api.register()
    body = {"email": "new@example.com", "current_password": PASSWORD}
    sql = "INSERT INTO users (email, name, password_hash) VALUES ('NEW@example.com', 'Somebody else', 'no hash')"
    async with rows.database.transaction() as registering:
        await registering.execute(Statement("", sql))
        changing = asyncio.create_task(api.client.patch("/api/me", json=body, headers=someone.headers))
        # Each query takes a trip to the server, during which the request goes on.
        while not await registering.fetch(Statement("", "SELECT FROM pg_locks WHERE NOT granted")):
            pass
    problem = await checked(await changing, 409)
    assert problem["type"] == "/problems/email-taken"
    assert (await api.call("GET", "/api/me", 200, who=someone))["email"] == someone.email


async def test_of_two_concurrent_changes_to_one_email_one_succeeds(api: Api) -> None:
    people = [await api.register() for _ in range(4)]
    body = {"email": "new@example.com", "current_password": PASSWORD}
    responses = await asyncio.gather(*(api.client.patch("/api/me", json=body, headers=one.headers) for one in people))
    assert sorted(response.status for response in responses) == [200, 409, 409, 409]


async def test_a_new_password_ends_the_other_sessions(api: Api, broadcasts: Broadcasts) -> None:
    someone = await api.register()
    elsewhere = await api.login(someone)
    body = {"password": "another horse battery", "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=elsewhere, json=body)
    await api.call("GET", "/api/me", 401, who=someone)
    await api.call("GET", "/api/me", 200, who=elsewhere)
    await api.call("POST", "/api/login", 401, json={"email": someone.email, "password": PASSWORD})
    await api.login(someone, "another horse battery")
    assert [seen[:2] for seen in broadcasts.seen] == [(CONTROL, DISCONNECT)]


async def test_leaving_removes_the_users_data_and_frees_the_email(api: Api, broadcasts: Broadcasts) -> None:
    someone, other = await api.register(), await api.register()
    await api.call("POST", "/api/messages", 201, who=someone, json={"to": other.id, "message": "Bye"})
    broadcasts.seen.clear()
    await api.call("DELETE", "/api/me", 403, who=someone, json={"current_password": "wrong horse"})
    await api.call("DELETE", "/api/me", 204, who=someone, json={"current_password": PASSWORD})
    await api.call("GET", "/api/me", 401, who=someone)
    await api.call("POST", "/api/login", 401, json={"email": someone.email, "password": PASSWORD})
    await api.call("GET", f"/api/users/{someone.id}", 404, who=other)
    assert broadcasts.seen == [
        (CONTROL, DISCONNECT, {"user_id": someone.id, "session_id": None}),
        (CONTROL, SELLER_CHANGED, {"user_id": someone.id}),
    ]
    body = {"email": someone.email, "password": PASSWORD, "name": "Somebody new"}
    await api.call("POST", "/api/register", 201, json=body)
    kept = await api.call("GET", f"/api/conversations/{someone.id}/messages", 200, who=other)
    assert [message["message"] for message in kept["data"]] == ["Bye"]
    await api.call("POST", "/api/messages", 422, who=other, json={"to": someone.id, "message": "Hello?"})


async def test_the_last_admin_cannot_leave(api: Api) -> None:
    first = await api.register(role=Role.ADMIN)
    problem = await api.call("DELETE", "/api/me", 409, who=first, json={"current_password": PASSWORD})
    assert problem["type"] == "/problems/last-admin"
    await api.register(role=Role.ADMIN)
    await api.call("DELETE", "/api/me", 204, who=first, json={"current_password": PASSWORD})
