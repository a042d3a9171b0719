"""SQL that says whether somebody may see a listing, for everything that hangs on one: pictures, replies, reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.access.actor import Actor
from shared.domain.listings import ListingNotFound
from shared.postgres import Database, Statement
from shared.repositories.visibility import FOR_ANYONE, TYPES, Viewer, visible_to

_SEEN = Statement(
    "listing_access_seen",
    f"""SELECT l.id, l.seller_id, l.category_id, l.created_at, ({FOR_ANYONE}) IS TRUE
        FROM listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
        WHERE l.id = $1 AND {visible_to("$2", "$3", "$4")}""",
    ("bigint", *TYPES),
)


@dataclass(frozen=True, slots=True)
class SeenListing:
    """A listing that somebody may see, and what decides what they may do with it."""

    id: int
    seller_id: int
    category_id: int
    created_at: datetime
    is_for_anyone: bool
    """Visitors see it too."""


class ListingAccess:
    """Raises DatabaseUnavailable when Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seen(self, listing_id: int, actor: Actor | None) -> SeenListing:
        """Raises ListingNotFound, whether there is none or it is not for this person's eyes."""
        row = await self._database.fetch_one(_SEEN, listing_id, *Viewer.of(actor).parameters)
        if row is None:
            raise ListingNotFound
        return SeenListing(*row)
