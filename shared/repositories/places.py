"""SQL about the places of listings: a place is added when the first listing there is written.

The table has only these places, so a search by distance reads few rows. A process knows all others (shared/places).
"""

from __future__ import annotations

from shared.domain.geography import Place
from shared.places import find_place
from shared.postgres import Database, Statement, Transaction

MOST_LOCATIONS = 10_000
"""The most different locations that one step of `place_listings` looks at."""

_ADD = Statement(
    "places_add",
    """INSERT INTO places (id, name, region, country, position)
       VALUES ($1, $2, $3, $4, ll_to_earth($5, $6)) ON CONFLICT DO NOTHING""",
    ("integer", "text", "text", "text", "double precision", "double precision"),
)
_LOCATIONS = Statement(
    "places_locations",
    """SELECT DISTINCT location FROM listings WHERE location > $1 AND place_id IS NULL ORDER BY location LIMIT $2""",
    ("text", "integer"),
)
_PLACE = Statement(
    "places_place",
    """UPDATE listings l SET place_id = found.id FROM unnest($1, $2) AS found (location, id)
       WHERE l.location = found.location AND l.place_id IS NULL""",
    ("text[]", "integer[]"),
)

# To have been brought to its place is no news about a listing, so nobody is told of it.
_NO_NEWS = Statement(
    "places_no_news",
    """DELETE FROM listing_changes c USING listings l
       WHERE l.id = c.listing_id AND l.location = ANY ($1) AND c.before - 'place_id' = to_jsonb(l) - 'place_id'""",
    ("text[]",),
)


class PlaceRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def id_of(self, location: object) -> int | None:
        """Returns the id of the place that a listing's location names, which is then in the table; None if none."""
        place = find_place(location) if isinstance(location, str) else None
        if place is None:
            return None
        # Each time: after a failover to a server that lacks the last rows, what was there a moment ago may be gone.
        await self.add(place)
        return place.id

    async def add(self, place: Place) -> None:
        """Add the place, if it is new."""
        values = place.id, place.name, place.region, place.country, place.latitude, place.longitude
        await self._database.execute(_ADD, *values)


async def place_listings(database: Database) -> int:
    """Give listings of earlier versions their places. Returns the number of listings that got one."""
    places, placed, last = PlaceRepository(database), 0, ""
    while rows := await database.fetch(_LOCATIONS, last, MOST_LOCATIONS):
        found = {str(location): place for (location,) in rows if (place := find_place(str(location))) is not None}
        for place in {place.id: place for place in found.values()}.values():
            await places.add(place)
        async with database.transaction() as transaction:
            placed += await transaction.execute(_PLACE, list(found), [place.id for place in found.values()])
            await transaction.execute(_NO_NEWS, list(found))
        last = str(rows[-1][0])
    return placed
