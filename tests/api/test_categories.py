"""Categories: who sees them, which names are allowed, and in which order they are listed."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.users import Role
from shared.events.control import CATEGORY_CHANGED, CONTROL
from tests.api.conftest import Api, Broadcasts
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


async def test_a_category_is_created_read_changed_and_deleted(api: Api, broadcasts: Broadcasts, rows: Rows) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    body = {"name": "Trucks", "visibility": "public"}
    created = await api.call("POST", "/api/categories", 201, who=moderator, json=body)
    assert created.items() >= body.items()
    path = f"/api/categories/{created['id']}"
    assert await api.call("GET", path, 200) == created
    changed = await api.call("PATCH", path, 200, who=moderator, json={"name": "Big <trucks>"})
    assert changed == {**created, "name": "Big <trucks>"}
    assert await api.call("PATCH", path, 200, who=moderator, json={}) == changed
    assert broadcasts.seen == []
    await api.call("PATCH", path, 200, who=moderator, json={"visibility": "private"})
    await api.call("DELETE", path, 204, who=moderator)
    event = (CONTROL, CATEGORY_CHANGED, {"category_id": created["id"]})
    assert broadcasts.seen == [event, event]
    for method in ("GET", "PATCH", "DELETE"):
        await api.call(method, path, 404, who=moderator)
    acts = await rows.fetch("SELECT actor_id, action, target_id FROM audit ORDER BY id")
    assert acts == [
        (moderator.id, act, created["id"])
        for act in ("category_create", "category_change", "category_change", "category_delete")
    ]


async def test_visitors_see_only_public_categories_and_users_see_all(api: Api, rows: Rows) -> None:
    public, private = await rows.category(), await rows.category("private")
    user = await api.register()
    seen = await api.call("GET", "/api/categories", 200)
    assert [one["id"] for one in seen["data"]] == [public]
    seen = await api.call("GET", "/api/categories", 200, who=user)
    assert [one["id"] for one in seen["data"]] == [public, private]
    await api.call("GET", f"/api/categories/{private}", 404)
    await api.call("GET", f"/api/categories/{private}", 200, who=user)


async def test_pages_of_categories_are_ordered_by_name(api: Api) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    for name in ("beta", "Delta", "alpha", "Gamma", "epsilon"):
        await api.call("POST", "/api/categories", 201, who=moderator, json={"name": name})
    seen = [one["name"] for one in await api.every_page("/api/categories")]
    assert seen == ["alpha", "beta", "Delta", "epsilon", "Gamma"]


async def test_a_category_name_can_be_reused_after_its_category_is_deleted(api: Api) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    first = await api.call("POST", "/api/categories", 201, who=moderator, json={"name": "Trucks"})
    other = await api.call("POST", "/api/categories", 201, who=moderator, json={"name": "Vans"})
    taken = await api.call("POST", "/api/categories", 409, who=moderator, json={"name": "tRUCKS"})
    assert taken["type"] == "/problems/category-name-taken"
    await api.call("PATCH", f"/api/categories/{other['id']}", 409, who=moderator, json={"name": "TRUCKS"})
    await api.call("PATCH", f"/api/categories/{first['id']}", 200, who=moderator, json={"name": "TRUCKS"})
    await api.call("DELETE", f"/api/categories/{first['id']}", 204, who=moderator)
    await api.call("POST", "/api/categories", 201, who=moderator, json={"name": "Trucks"})


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": None}, {"name": "\x00"}, {"name": "\ud800"},
     {"name": "x", "visibility": "secret"}, {"name": "x", "visibility": None}, {"name": "x", "id": 1}],
)  # fmt: skip
async def test_a_wrong_category_is_422(api: Api, body: dict[str, Any]) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    await api.call("POST", "/api/categories", 422, who=moderator, json=body)
    assert (await api.call("GET", "/api/categories", 200, who=moderator))["data"] == []
