"""Of requests that check and change one password at the same time, only the first takes effect."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import PASSWORD, Api, checked
from tests.api.locks import Hold
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

NEW = "another horse battery"
CHANGED = "UPDATE users SET password_hash = 'changed' WHERE id = {}"


async def test_of_two_changes_with_the_same_old_password_one_succeeds(api: Api, hold: Hold) -> None:
    someone = await api.register()
    sessions = [await api.login(someone), await api.login(someone)]
    async with hold(f"SELECT FROM users WHERE id = {someone.id} FOR UPDATE") as held:
        changes = [
            asyncio.create_task(
                api.client.patch(
                    "/api/me",
                    json={"password": f"{NEW} {number}", "current_password": PASSWORD},
                    headers=session.headers,
                )
            )
            for number, session in enumerate(sessions)
        ]
        await held.until_waiting(2)
    answers = await asyncio.gather(*changes)
    assert sorted(answer.status for answer in answers) == [200, 403]
    [kept] = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert (await checked(answers[1 - kept], 403))["type"] == "/problems/wrong-password"
    await api.call("GET", "/api/me", 200, who=sessions[kept])
    await api.login(someone, f"{NEW} {kept}")


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"password": NEW, "current_password": PASSWORD}),
        ("PATCH", {"email": "new@example.com", "current_password": PASSWORD}),
        ("DELETE", {"current_password": PASSWORD}),
    ],
    ids=["new password", "new email", "leaving"],
)
async def test_a_password_that_is_changed_after_it_was_checked_is_wrong(
    api: Api, rows: Rows, hold: Hold, method: str, body: dict[str, str]
) -> None:
    someone = await api.register()
    async with hold(CHANGED.format(someone.id)) as held:
        acting = asyncio.create_task(api.call(method, "/api/me", 403, who=someone, json=body))
        await held.until_waiting(1, acting)
    problem = await acting
    assert problem["type"] == "/problems/wrong-password"
    sql = "SELECT email, password_hash, deleted_at FROM users WHERE id = %s"
    assert await rows.fetch(sql, someone.id) == [(someone.email, "changed", None)]


async def test_a_log_in_whose_password_is_changed_meanwhile_begins_no_session(api: Api, rows: Rows, hold: Hold) -> None:
    someone = await api.register()
    async with hold(CHANGED.format(someone.id)) as held:
        body = {"email": someone.email, "password": PASSWORD}
        entering = asyncio.create_task(api.call("POST", "/api/login", 401, json=body))
        await held.until_waiting(1, entering)
    assert (await entering)["type"] == "/problems/wrong-credentials"
    assert len(await rows.fetch("SELECT FROM sessions")) == 1
