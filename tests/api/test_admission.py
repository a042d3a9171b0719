"""Tests which tokens are accepted, the answers to the others, and the number of statements of concurrent requests."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from shared.access.tokens import Claims, Tokens
from shared.postgres import Database, Statement
from tests.api.conftest import PASSWORD, Api
from tests.api.rows import Rows
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")

CROWD = 20


async def test_concurrent_requests_share_one_look_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [await api.register(f"Person {number}") for number in range(CROWD)]
    shown, looks = list[str](), list[str]()
    all_are_there = asyncio.Event()
    verify, fetch = Tokens.verify, Database.fetch

    def counted(self: Tokens, token: str) -> Claims:
        shown.append(token)
        if len(shown) == CROWD:
            all_are_there.set()
        return verify(self, token)

    async def held(self: Database, statement: Statement, *parameters: Any) -> list[tuple[Any, ...]]:
        if "sessions" in statement.sql:
            looks.append(statement.name)
            await all_are_there.wait()
        return await fetch(self, statement, *parameters)

    monkeypatch.setattr(Tokens, "verify", counted)
    monkeypatch.setattr(Database, "fetch", held)
    async with asyncio.timeout(PATIENCE_SECONDS):
        answers = await asyncio.gather(*(api.call("GET", "/api/me", 200, who=one) for one in people))
    assert [answer["id"] for answer in answers] == [one.id for one in people]
    # The first request makes one look-up, and all requests that came meanwhile share a second one.
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("banned", "out", "gone", "status", "kind", "detail"),
    [
        (True, False, False, 403, "banned", "You are banned for good: "),
        (False, True, False, 401, "unauthorized", "The session has ended."),
        (True, True, False, 401, "unauthorized", "The session has ended."),
        (True, False, True, 401, "unauthorized", "The session has ended."),
    ],
)
async def test_a_refusal_of_a_token_has_the_reason_and_is_logged_with_the_user_id(
    api: Api,
    rows: Rows,
    caplog: pytest.LogCaptureFixture,
    banned: bool,
    out: bool,
    gone: bool,
    status: int,
    kind: str,
    detail: str,
) -> None:
    caplog.set_level(logging.INFO)
    someone = await api.register()
    if banned:
        await rows.execute("UPDATE users SET banned_at = now()")
    if out:
        await rows.execute("UPDATE sessions SET revoked_at = now()")
    if gone:
        await rows.execute("UPDATE users SET deleted_at = now()")
    response = await api.client.get("/api/me", headers=someone.headers)
    problem = await response.json()
    assert (response.status, problem["type"], problem["detail"]) == (status, f"/problems/{kind}", detail)
    challenge = 'Bearer error="invalid_token"' if status == 401 else None
    assert response.headers.get("WWW-Authenticate") == challenge
    assert logged(caplog)[-1]["user_id"] == someone.id


async def test_requests_that_start_or_renew_a_session_are_logged_with_the_user_id(
    api: Api, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    someone = await api.register()
    session, right = {"refresh_token": someone.refresh_token}, {"email": someone.email, "password": PASSWORD}
    await api.call("POST", "/api/token/refresh", 200, json=session)
    await api.call("POST", "/api/login", 200, json=right)
    await api.call("POST", "/api/login", 401, json={**right, "password": "not theirs"})
    await rows.execute("UPDATE users SET banned_at = now(), ban_reason = 'fraud'")
    await api.call("POST", "/api/token/refresh", 403, json=session)
    await api.call("POST", "/api/login", 403, json=right)
    # The failed login has no user id, because a client without the password may be anybody.
    assert [line["user_id"] for line in logged(caplog)] == [*[someone.id] * 3, None, *[someone.id] * 2]


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of the log line of each request."""
    return [record.fields for record in caplog.records if record.getMessage() == "request"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("header", "challenge", "detail"),
    [
        ("Bearer x", 'Bearer error="invalid_token"', "The token is invalid or has expired."),
        ("Bearer ", 'Bearer error="invalid_token"', "The token is invalid or has expired."),
        ("Basic x", "Bearer", "A bearer token is needed."),
        (None, "Bearer", "Authentication needed."),
    ],
)
async def test_a_refusal_of_a_malformed_header_has_the_reason(
    api: Api, header: str | None, challenge: str, detail: str
) -> None:
    response = await api.client.get("/api/me", headers={} if header is None else {"Authorization": header})
    assert (response.status, (await response.json())["detail"]) == (401, detail)
    assert response.headers["WWW-Authenticate"] == challenge
