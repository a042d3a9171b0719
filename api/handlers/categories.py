"""Categories: visitors read the public ones, users all; moderators create, change and delete them."""

from __future__ import annotations

from aiohttp import web

from api.answers import json_answer, no_content
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas import answers
from api.schemas.categories import CategoryBody, CategoryChangeBody
from api.schemas.pages import PageQuery
from shared.access.policy import Action, may
from shared.domain.listings import Category


async def find(call: Call) -> web.Response:
    query = call.query(PageQuery)
    categories = await call.services.categories.find(
        sees_private=_sees_private(call), after=decode_cursor(query.cursor, str) or "", limit=query.limit + 1
    )
    return json_answer(page(categories, query.limit, lambda one: answers.category(one[0]), lambda one: one[1]))


async def read(call: Call) -> web.Response:
    category = await _category(call)
    call.query()
    return json_answer(answers.category(category))


async def create(call: Call) -> web.Response:
    body = await call.body(CategoryBody)
    category = await call.services.categories.create(body.name, body.visibility, by=call.user.user_id)
    return json_answer(answers.category(category), 201)


async def change(call: Call) -> web.Response:
    before = await _category(call)
    body = await call.body(CategoryChangeBody)
    categories = call.services.categories
    category = await categories.change(before.id, name=body.name, visibility=body.visibility, by=call.user.user_id)
    if category.visibility is not before.visibility:
        call.services.realtime.category_changed(category.id)
    return json_answer(answers.category(category))


async def delete(call: Call) -> web.Response:
    category = await _category(call)
    call.query()
    await call.services.categories.delete(category.id, by=call.user.user_id)
    call.services.realtime.category_changed(category.id)
    return no_content()


async def _category(call: Call) -> Category:
    return await call.services.categories.by_id(call.path_id(), sees_private=_sees_private(call))


def _sees_private(call: Call) -> bool:
    return may(Action.CATEGORY_READ_PRIVATE, call.actor, owner_id=None)
