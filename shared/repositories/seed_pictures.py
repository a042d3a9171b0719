"""SQL that says which demo listings get pictures."""

from __future__ import annotations

from typing import NamedTuple

from shared.postgres import Database, Statement

_NEWEST_WITHOUT = Statement(
    "",
    """SELECT id, seller_id, body, colour FROM (
           SELECT id, seller_id, body, colour FROM listings WHERE trashed_at IS NULL ORDER BY id DESC LIMIT %s
       ) AS newest
       WHERE NOT EXISTS (SELECT FROM pictures p WHERE p.listing_id = newest.id) ORDER BY id DESC""",
)


class CarWithoutPictures(NamedTuple):
    """A listing, and what its car looks like."""

    listing_id: int
    seller_id: int
    body: str | None
    colour: str | None


async def newest_without_pictures(database: Database, count: int) -> list[CarWithoutPictures]:
    """Returns those of the newest `count` listings that have no picture, the newest first."""
    return [CarWithoutPictures(*row) for row in await database.fetch(_NEWEST_WITHOUT, count)]
