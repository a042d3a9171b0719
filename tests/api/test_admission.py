"""Who is let in by their token: the answers that clients are promised, and what finding out costs under load."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.access.tokens import Claims, Tokens
from shared.postgres import Database, Statement
from tests.api.conftest import Api
from tests.api.rows import Rows

CROWD = 20


async def test_a_crowd_of_requests_is_looked_up_together(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
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
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(api.call("GET", "/api/me", 200, who=one) for one in people))
    assert [answer["id"] for answer in answers] == [one.id for one in people]
    # The first one's, and that of all who came while it was under way.
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("banned", "out", "gone", "status", "kind", "detail"),
    [
        (True, False, False, 403, "banned", "You are banned."),
        (False, True, False, 401, "unauthorized", "The session has ended."),
        (True, True, False, 401, "unauthorized", "The session has ended."),
        (True, False, True, 401, "unauthorized", "The session has ended."),
    ],
)
async def test_a_token_that_admits_nobody_says_why(
    api: Api, rows: Rows, banned: bool, out: bool, gone: bool, status: int, kind: str, detail: str
) -> None:
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


@pytest.mark.parametrize(
    ("header", "challenge", "detail"),
    [
        ("Bearer x", 'Bearer error="invalid_token"', "The token is invalid or has expired."),
        ("Bearer ", 'Bearer error="invalid_token"', "The token is invalid or has expired."),
        ("Basic x", "Bearer", "A bearer token is needed."),
        (None, "Bearer", "Authentication needed."),
    ],
)
async def test_a_header_that_holds_no_good_token_says_why(
    api: Api, header: str | None, challenge: str, detail: str
) -> None:
    response = await api.client.get("/api/me", headers={} if header is None else {"Authorization": header})
    assert (response.status, (await response.json())["detail"]) == (401, detail)
    assert response.headers["WWW-Authenticate"] == challenge
