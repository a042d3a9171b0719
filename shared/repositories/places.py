"""SQL about the places of listings: a place is added when the first listing there is written.

The table has only these places, so a search by distance reads few rows. A process knows all others (shared/places).
"""

from __future__ import annotations

from typing import Any

from shared.domain.geography import Place
from shared.places import find_place
from shared.postgres import Database, Statement

PLACE_TYPES = ("integer", "text", "text", "text", "double precision", "double precision")
"""The types of `place_parameters`."""
MOST_LOCATIONS = 10_000
"""The most different locations that one step of `place_listings` looks at."""

_ADD = Statement(
    "places_add",
    """INSERT INTO places (id, name, region, country, position)
       VALUES ($1, $2, $3, $4, ll_to_earth($5, $6)) ON CONFLICT DO NOTHING""",
    PLACE_TYPES,
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


def known_place(id_: str, name: str, region: str, country: str, latitude: str, longitude: str) -> str:
    """Returns a part of a WITH clause that adds the place if it is new. Arguments are SQL for `place_parameters`."""
    return f"""place (id, name, region, country, latitude, longitude) AS (
            SELECT {id_}::integer, {name}::text, {region}::text, {country}::text,
                   {latitude}::double precision, {longitude}::double precision
        ), placed AS (
            INSERT INTO places (id, name, region, country, position)
            SELECT id, name, region, country, ll_to_earth(latitude, longitude) FROM place
            WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM places known WHERE known.id = place.id)
            ON CONFLICT DO NOTHING
        )"""


def place_parameters(location: object) -> tuple[Any, ...]:
    """Returns the place that a listing's location names, for `known_place`; the first parameter is its id, or None."""
    place = find_place(location) if isinstance(location, str) else None
    return (None,) * len(PLACE_TYPES) if place is None else _parameters(place)


def _parameters(place: Place) -> tuple[Any, ...]:
    return place.id, place.name, place.region, place.country, place.latitude, place.longitude


async def add_place(database: Database, place: Place) -> None:
    """Add the place if it is new."""
    await database.execute(_ADD, *_parameters(place))


async def place_listings(database: Database) -> int:
    """Give listings of earlier versions their places. Returns the number of listings that got one."""
    placed, last = 0, ""
    while rows := await database.fetch(_LOCATIONS, last, MOST_LOCATIONS):
        found = {str(location): place for (location,) in rows if (place := find_place(str(location))) is not None}
        for place in {place.id: place for place in found.values()}.values():
            await add_place(database, place)
        async with database.transaction() as transaction:
            placed += await transaction.execute(_PLACE, list(found), [place.id for place in found.values()])
            await transaction.execute(_NO_NEWS, list(found))
        last = str(rows[-1][0])
    return placed
