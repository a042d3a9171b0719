"""SQL that decides who may see a listing, and so its pictures, replies, reports and channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.access.actor import Actor
from shared.domain.listings import ListingNotFound
from shared.domain.users import Role
from shared.postgres import Database, Statement
from shared.repositories.visibility import FOR_ANYONE, TYPES, Viewer, visible_to

_VISIBLE = Statement(
    "listing_access_visible",
    f"""SELECT l.id, l.seller_id, l.category_id, l.created_at, ({FOR_ANYONE}) IS TRUE
        FROM listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
        WHERE l.id = $1 AND {visible_to("$2", "$3", "$4")}""",
    ("bigint", *TYPES),
)
_KINDS = tuple((role, owns) for role in Role for owns in (False, True))
"""Everything that decides which listings a registered user sees: the role, and whether the user owns the listing."""


def _visible_to_kind(role: Role, owns: bool) -> str:
    viewer = Viewer.of_role(role)
    return f"({visible_to('l.seller_id' if owns else 'NULL::bigint', *viewer.grants_as_sql)}) IS TRUE"


_AUDIENCES = Statement(
    "listing_access_audiences",
    f"""SELECT l.id, l.seller_id, l.category_id, l.created_at, ({FOR_ANYONE}) IS TRUE,
               {", ".join(_visible_to_kind(role, owns) for role, owns in _KINDS)}
        FROM listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
        WHERE l.id = ANY ($1)""",
    ("bigint[]",),
)


@dataclass(frozen=True, slots=True)
class SeenListing:
    """A listing that the actor may see, and the values that decide what the actor may do with it."""

    id: int
    seller_id: int
    category_id: int
    created_at: datetime
    is_for_anyone: bool
    """True if visitors may see it too."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Everybody who may see a listing. Its answer for each user is the same as that of `ListingAccess.visible`."""

    listing: SeenListing
    kinds: frozenset[tuple[Role, bool]]
    """The roles that may see the listing, each with whether the user owns it."""

    def includes(self, user_id: int, role: Role) -> bool:
        """True if a registered user with this role may see the listing."""
        return (role, user_id == self.listing.seller_id) in self.kinds


class ListingAccess:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def visible(self, listing_id: int, actor: Actor | None) -> SeenListing:
        """Returns the listing. Raises ListingNotFound if it does not exist or the actor may not see it."""
        row = await self._database.fetch_one(_VISIBLE, listing_id, *Viewer.of(actor).parameters)
        if row is None:
            raise ListingNotFound
        return SeenListing(*row)

    async def audiences(self, listing_ids: Sequence[int]) -> dict[int, Audience]:
        """Returns the audiences of many listings by listing id, with one statement; missing listings are absent."""
        rows = await self._database.fetch(_AUDIENCES, list(listing_ids))
        return {row[0]: Audience(SeenListing(*row[:5]), _kinds(row[5:])) for row in rows}


def _kinds(columns: Sequence[bool]) -> frozenset[tuple[Role, bool]]:
    return frozenset(kind for kind, sees in zip(_KINDS, columns, strict=True) if sees)
