"""The categories that everybody may see, as one page of encoded JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from api.answers import Page
from api.pagination import MAX_LIMIT
from api.schemas.answers import listings as answers
from shared.domain.listings import Category
from shared.repositories.categories import CategoryRepository


async def read_shown_categories(categories: CategoryRepository, _: Sequence[None]) -> dict[None, bytes]:
    """Returns all public categories by name, in the form of GET /api/categories."""
    shown: list[Category] = []
    after = ""
    while True:
        found = await categories.find(sees_private=False, after=after, limit=MAX_LIMIT)
        shown += [category for category, _ in found]
        if len(found) < MAX_LIMIT:
            break
        after = found[-1][1]
    return {None: msgspec.json.encode(Page([answers.category(one) for one in shown], None))}
