"""SQL about favourites: the listings that a person wants to hear of."""

from __future__ import annotations

from typing import Any, NamedTuple

from shared.access.actor import Actor
from shared.access.policy import Action
from shared.domain.alerts import MAX_FAVOURITES, OwnListing, TooManyFavourites
from shared.domain.listings import ListingNotFound
from shared.postgres import Database, Statement
from shared.repositories.acting import require
from shared.repositories.listings import JOINED
from shared.repositories.visibility import TYPES, Viewer, visible_to

# One person's additions wait for each other, so that none of them exceeds the limit.
_LOCK = Statement("favourite_lock", "SELECT pg_advisory_xact_lock(723987014, ($1 % 2147483647)::integer)", ("bigint",))
_STATE = Statement(
    "favourite_state",
    """SELECT EXISTS (SELECT FROM favourites WHERE user_id = $1 AND listing_id = $2),
              (SELECT count(*) FROM favourites WHERE user_id = $1)""",
    ("bigint", "bigint"),
)
# The listing may have been hidden or trashed since it was looked up: the person then knows nothing newer of it.
_ADD = Statement(
    "favourite_add",
    f"""INSERT INTO favourites (user_id, listing_id, title, price, is_sold)
        SELECT $1, l.id, l.title, l.price, l.status = 'sold' FROM {JOINED}
        WHERE l.id = $2 AND {visible_to("$3", "$4", "$5")} FOR KEY SHARE OF l""",
    ("bigint", "bigint", *TYPES),
)
_REMOVE = Statement(
    "favourite_remove", "DELETE FROM favourites WHERE user_id = $1 AND listing_id = $2", ("bigint", "bigint")
)
_FIND = Statement(
    "favourite_find",
    f"""SELECT f.id, l.id FROM favourites f JOIN {JOINED.replace("listings l", "listings l ON l.id = f.listing_id", 1)}
        WHERE f.user_id = $1 AND f.id < $5 AND {visible_to("$2", "$3", "$4")} ORDER BY f.id DESC LIMIT $6""",
    ("bigint", *TYPES, "bigint", "integer"),
)


class Favourite(NamedTuple):
    """A favourite: its own id, by which favourites are in order, and its listing's."""

    id: int
    listing_id: int


class FavouriteRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, actor: Actor, listing_id: int, *, seller_id: int) -> None:
        """Make the listing a favourite. A second time changes nothing.

        Raises OwnListing, TooManyFavourites, ListingNotFound or NoLongerAllowed.
        """
        user_id = actor.user_id
        if seller_id == user_id:
            raise OwnListing
        async with self._database.transaction() as transaction:
            await require(transaction, user_id, Action.FAVOURITE_CHANGE, owner_id=user_id)
            await transaction.execute(_LOCK, user_id)
            row: tuple[Any, ...] | None = await transaction.fetch_one(_STATE, user_id, listing_id)
            is_there, count = row or (False, 0)
            if is_there:
                return
            if count >= MAX_FAVOURITES:
                raise TooManyFavourites
            if not await transaction.execute(_ADD, user_id, listing_id, *Viewer.of(actor).parameters):
                raise ListingNotFound

    async def remove(self, user_id: int, listing_id: int) -> None:
        """Take the listing from the person's favourites, if it is one."""
        await self._database.execute(_REMOVE, user_id, listing_id)

    async def find(self, actor: Actor, *, before_id: int, limit: int) -> list[Favourite]:
        """Returns the person's favourites that they may see, with ids below `before_id`, latest first."""
        viewer = Viewer.of(actor)
        rows = await self._database.fetch(_FIND, actor.user_id, *viewer.parameters, before_id, limit)
        return [Favourite(*row) for row in rows]
