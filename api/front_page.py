"""Pages of listings as encoded JSON, and the page that is requested most: the newest available listings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from api.pagination import encode_cursor
from shared.access.actor import Actor
from shared.domain.ids import MAX_ID
from shared.domain.listings import Sort
from shared.repositories.listing_search import Correction
from shared.repositories.listing_ways import Position
from shared.repositories.listings import ListingRepository


class FrontPage(NamedTuple):
    """The key of a front page: after which listing it begins, and its number of listings."""

    after: Position
    limit: int


BEGINNING = Position(MAX_ID, MAX_ID)
"""Before all listings."""


def listing_page(
    shown: Sequence[str], sort: Sort, last: Position | None, correction: Correction | None = None
) -> bytes:
    """Makes a page of listings that are already JSON. `last` is the last one's position if another page follows."""
    next_cursor = f'"{_cursor(sort, last)}"' if last else "null"
    more = ""
    if correction is not None:
        more = f',"corrected":{msgspec.json.encode({"from": correction.typed, "to": correction.found}).decode()}'
    return f'{{"data":[{",".join(shown)}],"next_cursor":{next_cursor}{more}}}'.encode()


def _cursor(sort: Sort, last: Position) -> str:
    named = last if sort is Sort.RELEVANCE else (last.key, last.id)
    return encode_cursor((sort.value, *named))


async def read_front_pages(listings: ListingRepository, asked: Sequence[FrontPage]) -> dict[FrontPage, bytes]:
    """Returns the front pages for visitors, as JSON, read at the same time."""
    return dict(zip(asked, await asyncio.gather(*(_read(listings, page) for page in asked)), strict=True))


async def read_front_page_of(listings: ListingRepository, actor: Actor, page: FrontPage) -> bytes:
    """Returns the front page for a logged-in user, as JSON. It also has the user's own hidden listings."""
    return _page(await listings.front_page_of(actor, after=page.after, limit=page.limit + 1), page.limit)


async def _read(listings: ListingRepository, page: FrontPage) -> bytes:
    return _page(await listings.front_page(after=page.after, limit=page.limit + 1), page.limit)


def _page(rows: Sequence[tuple[str, Position]], limit: int) -> bytes:
    last = rows[limit - 1][1] if len(rows) > limit else None
    return listing_page([json for json, _ in rows[:limit]], Sort.NEWEST, last)
