"""Saved searches: whoever has one is told of each listing that matches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.answers import Page
from api.call import Call
from api.handlers.listings import place_for_search, require_for_hidden
from api.pagination import decode_cursor, page
from api.repeats import once
from api.schemas.answers import notices as answers
from api.schemas.pages import PageQuery
from api.schemas.saved_searches import SearchBody, SearchChangeBody, filter_of
from shared.domain.ids import MAX_ID
from shared.domain.listings import ListingFilter


async def find(call: Call) -> Page[answers.SavedSearch]:
    """Your saved searches, newest first."""
    query = call.query(PageQuery)
    before_id = decode_cursor(query.cursor, int) or MAX_ID
    found = await call.services.saved_searches.find(call.user.user_id, before_id=before_id, limit=query.limit + 1)
    return page(found, query.limit, answers.saved_search, lambda search: search.id)


async def create(call: Call) -> answers.SavedSearch:
    """Save a search.

    You are told of each listing that begins to match it, and once more when the listing becomes cheaper.
    """
    body = await call.body(SearchBody)
    query, filter = _meant(call, body.query)
    searches, user_id = call.services.saved_searches, call.user.user_id
    async with place_for_search(call):
        words = await searches.words(filter)
    async with once(call) as within:
        saved = await within.services.saved_searches.add(user_id, body.name, query, filter, words)
        return await within.keep(answers.saved_search(saved))


async def change(call: Call) -> answers.SavedSearch:
    """Rename a saved search, or let it ask something else."""
    search_id = call.path_id()
    body = await call.body(SearchChangeBody)
    values: Mapping[str, Any] = body.values
    asked = _meant(call, values["query"]) if "query" in values else None
    searches, user_id, name = call.services.saved_searches, call.user.user_id, values.get("name")
    if asked is None:
        return answers.saved_search(await searches.change(user_id, search_id, name=name, asked=None))
    async with place_for_search(call):
        return answers.saved_search(await searches.change(user_id, search_id, name=name, asked=asked))


async def delete(call: Call) -> None:
    """Delete a saved search with its alerts."""
    search_id = call.path_id()
    call.query()
    await call.services.saved_searches.delete(call.user.user_id, search_id)


def _meant(call: Call, query: Mapping[str, str]) -> tuple[Mapping[str, str], ListingFilter]:
    filter = filter_of(query)
    require_for_hidden(call, filter)
    return query, filter
