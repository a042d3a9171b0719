"""Categories: read by everybody, private ones by users; created, changed and deleted by moderators."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api.answers import json_answer, no_content
from api.call import Call
from api.pagination import decode_cursor, page
from shared.access.policy import Action, may
from shared.domain.listings import Category
from shared.domain.times import rfc3339


async def find(call: Call) -> web.Response:
    query = call.query()
    categories = await call.services.categories.find(
        sees_private=_sees_private(call), after=decode_cursor(query["cursor"], str) or "", limit=query["limit"] + 1
    )
    return json_answer(page(categories, query["limit"], lambda one: category_payload(one[0]), lambda one: one[1]))


async def read(call: Call) -> web.Response:
    category = await _category(call)
    call.query()
    return json_answer(category_payload(category))


async def create(call: Call) -> web.Response:
    body = await call.body()
    category = await call.services.categories.create(body["name"], body["visibility"], by=call.user.user_id)
    return json_answer(category_payload(category), 201)


async def change(call: Call) -> web.Response:
    before = await _category(call)
    changes = await call.body()
    category = await call.services.categories.change(before.id, changes, by=call.user.user_id)
    if category.visibility is not before.visibility:
        call.services.realtime.category_changed(category.id)
    return json_answer(category_payload(category))


async def delete(call: Call) -> web.Response:
    category = await _category(call)
    call.query()
    await call.services.categories.delete(category.id, by=call.user.user_id)
    call.services.realtime.category_changed(category.id)
    return no_content()


def category_payload(category: Category) -> dict[str, Any]:
    return {
        "id": category.id,
        "name": category.name,
        "visibility": category.visibility.value,
        "created_at": rfc3339(category.created_at),
    }


async def _category(call: Call) -> Category:
    return await call.services.categories.by_id(call.path_id(), sees_private=_sees_private(call))


def _sees_private(call: Call) -> bool:
    return may(Action.CATEGORY_READ_PRIVATE, call.actor, owner_id=None)
