"""Categories: visitors read the public ones, users all; moderators create, change and delete them."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.repeats import once
from api.schemas.answers import listings as answers
from api.schemas.categories import CategoryBody, CategoryChangeBody
from api.schemas.pages import PageQuery
from api.services import Services
from api.versions import as_seen
from shared.access.policy import Action, may
from shared.domain.listings import Category


async def find(call: Call) -> Page[answers.Category]:
    """Categories by name; private ones for users only."""
    query = call.query(PageQuery)
    categories = await call.services.categories.find(
        sees_private=_sees_private(call), after=decode_cursor(query.cursor, str) or "", limit=query.limit + 1
    )
    return page(categories, query.limit, lambda one: answers.category(one[0]), lambda one: one[1])


async def read(call: Call) -> answers.Category:
    """A category."""
    category = await _category(call)
    call.query()
    return answers.category(category)


async def create(call: Call) -> answers.Category:
    """Add a category."""
    body = await call.body(CategoryBody)
    async with once(call) as within:
        category = await within.services.categories.create(body.name, body.visibility, by=call.user.user_id)
        return await within.keep(answers.category(category))


async def change(call: Call) -> answers.Category:
    """Rename a category, or change who sees it."""
    before = await _category(call)
    body = await call.body(CategoryChangeBody)
    by = call.user.user_id

    async with as_seen(call, "categories", before.id, lambda within: _as_shown(within, before.id)) as within:
        category = await within.categories.change(before.id, name=body.name, visibility=body.visibility, by=by)
    if category.visibility is not before.visibility:
        call.services.realtime.category_changed(category.id)
    return answers.category(category)


async def delete(call: Call) -> None:
    """Delete a category; its listings go to the trash."""
    category = await _category(call)
    call.query()
    async with as_seen(call, "categories", category.id, lambda within: _as_shown(within, category.id)) as within:
        await within.categories.delete(category.id, by=call.user.user_id)
    call.services.realtime.category_changed(category.id)


async def _as_shown(services: Services, category_id: int) -> answers.Category:
    return answers.category(await services.categories.by_id(category_id, sees_private=True))


async def _category(call: Call) -> Category:
    return await call.services.categories.by_id(call.path_id(), sees_private=_sees_private(call))


def _sees_private(call: Call) -> bool:
    return may(Action.CATEGORY_READ_PRIVATE, call.actor, owner_id=None)
