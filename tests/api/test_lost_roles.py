"""If a moderator or admin loses the role during an act of theirs, the act is refused and changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api
from tests.api.locks import Hold
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

LOSES = "UPDATE users SET role = 'user' WHERE id = {}"

EVERYTHING = """SELECT (SELECT json_agg(t ORDER BY id) FROM users t WHERE id <> %s)::text,
    (SELECT json_agg(t ORDER BY id) FROM categories t)::text,
    (SELECT json_agg(t ORDER BY id) FROM listings t)::text, (SELECT json_agg(t ORDER BY id) FROM replies t)::text,
    (SELECT json_agg(t ORDER BY id) FROM reports t)::text, (SELECT json_agg(t ORDER BY id) FROM pictures t)::text,
    (SELECT json_agg(t ORDER BY id) FROM findings t)::text, (SELECT json_agg(t ORDER BY id) FROM holds t)::text"""

ACTS: list[tuple[Role, str, str, Any]] = [
    (Role.MODERATOR, "PUT", "/api/listings/1/hidden", {"reason": "spam"}),
    (Role.MODERATOR, "DELETE", "/api/listings/2/hidden", None),
    (Role.MODERATOR, "PUT", "/api/reports/1/resolved", None),
    (Role.MODERATOR, "DELETE", "/api/reports/2/resolved", None),
    (Role.MODERATOR, "PUT", "/api/findings/1/resolved", None),
    (Role.MODERATOR, "DELETE", "/api/findings/2/resolved", None),
    (Role.MODERATOR, "PUT", "/api/holds/1/decision", {"decision": "let_go"}),
    (Role.MODERATOR, "PUT", "/api/moderation/queue/listings/1/resolved", {"up_to": "2100-01-01T00:00:00Z"}),
    (Role.MODERATOR, "POST", "/api/categories", {"name": "Boats"}),
    (Role.MODERATOR, "PATCH", "/api/categories/1", {"name": "Boats"}),
    (Role.MODERATOR, "DELETE", "/api/categories/1", None),
    (Role.MODERATOR, "POST", "/api/trash/3/restore", {}),
    (Role.ADMIN, "DELETE", "/api/trash/3", None),
    (Role.ADMIN, "PATCH", "/api/listings/1", {"title": "Another car"}),
    (Role.ADMIN, "PATCH", "/api/listings/1", {"category_id": 1}),
    (Role.ADMIN, "DELETE", "/api/listings/1", None),
    (Role.ADMIN, "DELETE", "/api/replies/1", None),
    (Role.ADMIN, "DELETE", "/api/listings/1/pictures/1", None),
    (Role.ADMIN, "PUT", "/api/users/1/ban", {"reason": "spam"}),
    (Role.ADMIN, "DELETE", "/api/users/2/ban", None),
    (Role.ADMIN, "PUT", "/api/users/1/role", {"role": "moderator"}),
    (Role.ADMIN, "PUT", "/api/users/3/role", {"role": "user"}),
]


@pytest.mark.parametrize(("role", "method", "path", "body"), ACTS, ids=[f"{act[1]} {act[2]}" for act in ACTS])
async def test_an_act_whose_actor_loses_the_role_before_it_commits_is_refused(
    api: Api, rows: Rows, hold: Hold, role: Role, method: str, path: str, body: Any
) -> None:
    seller, _, _ = await api.register("Seller"), await api.register("Banned"), await api.register("Ada", Role.ADMIN)
    category_id = await rows.category()
    for state in ({}, {"hidden_at": "now()"}, {"trashed_at": "now()"}):
        await rows.listing(seller.id, category_id, **state)
    await rows.execute("INSERT INTO replies (listing_id, author_id, text) VALUES (1, 1, 'Still there.')")
    await rows.execute("INSERT INTO reports (listing_id, reporter_id, reason) VALUES (1, 1, 'spam')")
    await rows.execute("""INSERT INTO findings (kind, user_id, listing_id, other_listing_id, told_at, decided_at)
        VALUES ('same_vin', 1, 1, 2, now(), NULL), ('same_vin', 1, 2, 1, now(), now())""")
    await rows.execute("INSERT INTO holds (user_id, told_at) VALUES (1, now())")
    await rows.execute("INSERT INTO reports (user_id, reporter_id, reason, resolved_at) VALUES (2, 1, 'spam', now())")
    await rows.execute("""INSERT INTO pictures (listing_id, key, content_type, size, width, height, thumbnail_key,
        thumbnail_content_type, thumbnail_size) VALUES (1, 'a', 'image/webp', 1, 1, 1, 'b', 'image/webp', 1)""")
    await rows.execute("UPDATE users SET banned_at = now(), banned_by = 3, ban_reason = 'spam' WHERE id = 2")
    actor = await api.register("Actor", role)
    before = await rows.fetch(EVERYTHING, actor.id)
    async with hold(LOSES.format(actor.id)) as held:
        acting = asyncio.create_task(api.call(method, path, 403, who=actor, json=body))
        await held.until_waiting(1, acting)
    problem = await acting
    assert problem["type"] == "/problems/forbidden"
    assert await rows.fetch(EVERYTHING, actor.id) == before
    assert await rows.fetch("SELECT FROM audit WHERE actor_id = %s", actor.id) == []


@pytest.mark.parametrize("what", ["role", "ban"])
async def test_of_two_admins_who_demote_or_ban_each_other_one_succeeds(
    api: Api, rows: Rows, hold: Hold, what: str
) -> None:
    await api.register("A third one", Role.ADMIN)
    first, second = await api.register("First", Role.ADMIN), await api.register("Second", Role.ADMIN)
    body = {"role": "user"} if what == "role" else {"reason": "spam"}
    async with hold("SELECT FROM users ORDER BY id FOR UPDATE") as held:
        acts = [
            asyncio.create_task(api.client.put(f"/api/users/{other.id}/{what}", json=body, headers=one.headers))
            for one, other in ((first, second), (second, first))
        ]
        await held.until_waiting(2)
    answers = await asyncio.gather(*acts)
    assert sorted(answer.status for answer in answers) == [200, 403]
    assert len(await rows.fetch("SELECT FROM users WHERE role = 'admin' AND banned_at IS NULL")) == 2


async def test_two_admins_who_promote_each_other_do_not_wait_for_each_other(api: Api) -> None:
    first, second = await api.register("First", Role.ADMIN), await api.register("Second", Role.ADMIN)
    acts = [
        api.call("PUT", f"/api/users/{other.id}/role", 200, who=one, json={"role": "admin"})
        for one, other in ((first, second), (second, first)) * 5
    ]
    await asyncio.gather(*acts)
