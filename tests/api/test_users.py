"""Other people's profiles, roles, bans and blocks."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.users import Role
from shared.events.control import CONTROL, DISCONNECT, ROLE_CHANGED, SELLER_CHANGED
from shared.events.moderation import SANCTIONED
from shared.events.sanctions import SANCTION
from shared.events.topics import MODERATION, private_chat
from shared.postgres import Database, Statement
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, Broadcasts

pytestmark = pytest.mark.usefixtures("at_rest")


async def audit(settings: Settings) -> list[tuple[Any, ...]]:
    database = await Database.connect(settings)
    try:
        sql = "SELECT actor_id, action, target_type, target_id, reason FROM audit ORDER BY id"
        return await database.fetch(Statement("", sql))
    finally:
        await database.close()


async def test_users_see_others_without_their_email(api: Api) -> None:
    someone, other = await api.register("Ann"), await api.register("Bob")
    seen = await api.call("GET", f"/api/users/{other.id}", 200, who=someone)
    assert set(seen) == {"id", "name", "role", "created_at", "blocked"}
    assert seen["name"] == "Bob"
    await api.call("GET", f"/api/users/{other.id}", 401)


@pytest.mark.parametrize(
    "bad", ["0", "-1", "x", "1.0", "01", "%31x", "9223372036854775808", "9" * 40, "99", "%C2%B2", "%00"]
)
async def test_an_unknown_user_id_is_404(api: Api, bad: str) -> None:
    someone = await api.register()
    await api.call("GET", f"/api/users/{bad}", 404, who=someone)


async def test_admins_can_search_users(api: Api) -> None:
    admin = await api.register("Ada", Role.ADMIN)
    people = [await api.register(f"Person 100% {number}") for number in range(5)]
    await api.register("Mona", Role.MODERATOR)
    everyone = await api.call("GET", "/api/users", 200, who=admin)
    assert [one["id"] for one in everyone["data"]] == [7, 6, 5, 4, 3, 2, 1]
    assert everyone["data"][-1]["email"] == admin.email
    first = await api.call("GET", "/api/users?q=100%25&limit=3", 200, who=admin)
    assert [one["id"] for one in first["data"]] == [6, 5, 4]
    rest = await api.call("GET", "/api/users", 200, who=admin, params={
        "q": "100%", "limit": "3", "cursor": first["next_cursor"]})  # fmt: skip
    assert [one["id"] for one in rest["data"]] == [3, 2]
    assert rest["next_cursor"] is None
    by_email = await api.call("GET", f"/api/users?q={people[2].email}", 200, who=admin)
    assert [one["id"] for one in by_email["data"]] == [people[2].id]
    moderators = await api.call("GET", "/api/users?role=moderator", 200, who=admin)
    assert [one["id"] for one in moderators["data"]] == [7]
    await api.call("PUT", f"/api/users/{people[0].id}/ban", 200, who=admin, json={"reason": "spam"})
    banned = await api.call("GET", "/api/users?banned=true", 200, who=admin)
    assert [one["id"] for one in banned["data"]] == [people[0].id]
    assert banned["data"][0]["ban"]["reason"] == "spam"
    free = await api.call("GET", "/api/users?banned=false", 200, who=admin)
    assert people[0].id not in [one["id"] for one in free["data"]]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=", "limit=1&limit=2", "cursor=x", "cursor=", "cursor=W10", "role=king",
     "banned=maybe", "q=%00", "q=", "unknown=1", "cursor=LTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk"],
)  # fmt: skip
async def test_wrong_parameters_of_the_list_are_422(api: Api, query: str) -> None:
    admin = await api.register(role=Role.ADMIN)
    problem = await api.call("GET", f"/api/users?{query}", 422, who=admin)
    assert set(problem["errors"]) == {query.split("=", 1)[0]}


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.USER, 403), (Role.MODERATOR, 403), (Role.ADMIN, 200)])
async def test_only_admins_can_list_ban_and_promote_users(api: Api, role: Role | None, status: int) -> None:
    someone = await api.register(role=role) if role else None
    other = await api.register()
    await api.call("GET", "/api/users", status, who=someone)
    await api.call("PUT", f"/api/users/{other.id}/role", status, who=someone, json={"role": "moderator"})
    await api.call("PUT", f"/api/users/{other.id}/ban", status, who=someone, json={"reason": "spam"})
    await api.call("DELETE", f"/api/users/{other.id}/ban", 204 if status == 200 else status, who=someone)
    await api.call("PUT", "/api/users/99/role", 404 if status == 200 else status, who=someone, json="nonsense")


async def test_a_new_role_takes_effect_at_once_and_is_broadcast(
    api: Api, broadcasts: Broadcasts, settings: Settings
) -> None:
    admin, other = await api.register(role=Role.ADMIN), await api.register()
    path = f"/api/users/{other.id}/role"
    await api.call("GET", "/api/users", 403, who=other)
    changed = await api.call("PUT", path, 200, who=admin, json={"role": "admin"})
    assert changed["role"] == "admin"
    await api.call("GET", "/api/users", 200, who=other)
    await api.call("PUT", path, 200, who=admin, json={"role": "admin"})
    assert broadcasts.seen == [(CONTROL, ROLE_CHANGED, {"user_id": other.id, "role": "admin"})]
    await api.call("PUT", path, 422, who=admin, json={"role": "king"})
    assert await audit(settings) == [(admin.id, "role_change", "user", other.id, None)]


async def test_the_last_admin_cannot_lose_the_role(api: Api) -> None:
    first, second = await api.register(role=Role.ADMIN), await api.register(role=Role.ADMIN)
    responses = await asyncio.gather(
        api.client.put(f"/api/users/{first.id}/role", json={"role": "user"}, headers=second.headers),
        api.client.put(f"/api/users/{second.id}/role", json={"role": "user"}, headers=first.headers),
    )
    statuses = sorted(response.status for response in responses)
    assert statuses[0] == 200
    assert statuses[1] in (403, 409)
    last = first if responses[1].status == 200 else second
    await api.call("PUT", f"/api/users/{last.id}/role", 409, who=last, json={"role": "user"})


async def test_a_ban_locks_a_user_out_at_once(api: Api, broadcasts: Broadcasts, settings: Settings) -> None:
    admin, other = await api.register(role=Role.ADMIN), await api.register()
    path = f"/api/users/{other.id}/ban"
    banned = await api.call("PUT", path, 200, who=admin, json={"reason": "sells lemons"})
    assert banned["ban"]["reason"] == "sells lemons"
    topic, event, told = broadcasts.seen[0]
    assert (topic, event, told["kind"], told["reason"]) == (private_chat(other.id), SANCTION, "ban", "sells lemons")
    assert broadcasts.seen[1:] == [
        (MODERATION, SANCTIONED, {"id": told["id"], "kind": "ban", "person_id": other.id}),
        (CONTROL, DISCONNECT, {"user_id": other.id, "session_id": None}),
        (CONTROL, SELLER_CHANGED, {"user_id": other.id}),
    ]
    old = await api.call("GET", "/api/me", 403, who=other)
    login = await api.call("POST", "/api/login", 403, json={"email": other.email, "password": PASSWORD})
    refresh = await api.call("POST", "/api/token/refresh", 403, json={"refresh_token": other.refresh_token})
    assert {old["type"], login["type"], refresh["type"]} == {"/problems/banned"}
    assert "sells lemons" in login["detail"]
    await api.call("POST", "/api/login", 401, json={"email": other.email, "password": "wrong horse"})
    await api.call("DELETE", path, 204, who=admin)
    await api.call("DELETE", path, 204, who=admin)
    await api.call("GET", "/api/me", 200, who=other)
    await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": other.refresh_token})
    assert [act[1] for act in await audit(settings)] == ["ban", "unban"]


async def test_two_last_admins_cannot_ban_each_other(api: Api) -> None:
    first, second = await api.register(role=Role.ADMIN), await api.register(role=Role.ADMIN)
    responses = await asyncio.gather(
        api.client.put(f"/api/users/{first.id}/ban", json={"reason": "x"}, headers=second.headers),
        api.client.put(f"/api/users/{second.id}/ban", json={"reason": "x"}, headers=first.headers),
    )
    assert sorted(response.status for response in responses) in ([200, 403], [200, 409])
    left = second if responses[0].status == 200 else first
    await api.call("PUT", f"/api/users/{left.id}/role", 409, who=left, json={"role": "user"})


async def test_a_ban_ends_at_its_time(api: Api, settings: Settings) -> None:
    admin, other = await api.register(role=Role.ADMIN), await api.register()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    banned = await api.call(
        "PUT", f"/api/users/{other.id}/ban", 200, who=admin, json={"reason": "spam", "until": until}
    )
    assert datetime.fromisoformat(banned["ban"]["until"]) == datetime.fromisoformat(until)
    await api.call("GET", "/api/me", 403, who=other)
    # A sentence for people has the time as people write it.
    told = await api.call("POST", "/api/login", 403, json={"email": other.email, "password": PASSWORD})
    sentence = r"You are banned until [A-Z][a-z]+ \d{1,2}, \d{4}, \d\d:\d\d UTC: spam"
    assert re.fullmatch(sentence, told["detail"])
    database = await Database.connect(settings)
    await database.execute(Statement("", "UPDATE users SET banned_until = now() WHERE id = %s"), other.id)
    await database.close()
    await api.call("GET", "/api/me", 200, who=other)
    await api.login(other)


@pytest.mark.parametrize(
    "body",
    [{}, {"reason": ""}, {"reason": "x" * 1001}, {"reason": "x", "until": "yesterday"}, {"reason": "x", "until": 5},
     {"reason": "x", "until": "2020-01-01T00:00:00Z"}, {"reason": "x", "until": "2999-01-01T00:00:00"},
     {"reason": "x", "until": "9999-12-31T23:59:59-23:00"}, {"reason": "x", "by": 1}],
)  # fmt: skip
async def test_a_wrong_ban_changes_nothing(api: Api, body: dict[str, Any]) -> None:
    admin, other = await api.register(role=Role.ADMIN), await api.register()
    await api.call("PUT", f"/api/users/{other.id}/ban", 422, who=admin, json=body)
    await api.call("GET", "/api/me", 200, who=other)


async def test_nobody_can_ban_or_block_themselves(api: Api) -> None:
    admin = await api.register(role=Role.ADMIN)
    await api.call("PUT", f"/api/users/{admin.id}/ban", 409, who=admin, json={"reason": "oops"})
    await api.call("PUT", f"/api/users/{admin.id}/block", 409, who=admin)


async def test_a_block_refuses_the_messages_of_both(api: Api) -> None:
    someone, other = await api.register(), await api.register()
    await api.call("PUT", f"/api/users/{other.id}/block", 200, who=someone)
    await api.call("PUT", f"/api/users/{other.id}/block", 200, who=someone)
    problem = await api.call("POST", "/api/messages", 403, who=other, json={"to": someone.id, "message": "Hi"})
    assert problem["type"] == "/problems/blocked"
    problem = await api.call("POST", "/api/messages", 403, who=someone, json={"to": other.id, "message": "Hi"})
    assert problem["type"] == "/problems/blocking"
    await api.call("DELETE", f"/api/users/{other.id}/block", 204, who=someone)
    await api.call("POST", "/api/messages", 201, who=other, json={"to": someone.id, "message": "Hi"})
    await api.call("PUT", "/api/users/99/block", 404, who=someone)


async def test_pages_of_blocks_are_latest_first(api: Api) -> None:
    someone = await api.register()
    others = [await api.register(f"Other {number}") for number in range(5)]
    for other in others:
        await api.call("PUT", f"/api/users/{other.id}/block", 200, who=someone)
    seen = await api.every_page("/api/me/blocks", who=someone)
    assert [one["id"] for one in seen] == [other.id for other in reversed(others)]
    await api.call("GET", "/api/me/blocks?cursor=WzEsMl0", 422, who=someone)
