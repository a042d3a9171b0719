"""Suggestions while somebody types a search."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.schemas.answers import listings as answers
from api.schemas.suggestions import SuggestionsQuery


async def find(call: Call) -> Page[answers.Suggestion]:
    """Makes, models and places that begin with what was typed.

    Visitors and users get the same: names from listings that everybody can see, and makes and models that people know.
    """
    query = call.query(SuggestionsQuery)
    found = await call.services.suggestions.find(query.q, query.limit)
    return Page([answers.Suggestion(kind=one.kind, text=one.text) for one in found], None)
