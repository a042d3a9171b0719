"""A search's filter as SQL conditions on listings `l`, their categories `c` and sellers `s`, with their parameters.

Whatever selects listings by a filter uses these conditions, so that they all agree on what the filter means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.domain.cars import ENGINE_STEPS, POWER_STEPS
from shared.domain.geography import Place, Point
from shared.domain.listings import ListingFilter, WantedStatus
from shared.domain.search import quoted
from shared.repositories.visibility import HAS_ENDED, IS_HIDDEN, Viewer, visible_to


class Conditions:
    """SQL conditions, each kept together with its parameters."""

    def __init__(self) -> None:
        self._sql: list[str] = []
        self.parameters: list[Any] = []

    def add(self, sql: str, *parameters: Any) -> None:
        self._sql.append(sql)
        self.parameters += parameters

    @property
    def sql(self) -> str:
        return " AND ".join(self._sql) or "true"

    @property
    def as_columns(self) -> str:
        return ", ".join(f"({condition}) IS TRUE" for condition in self._sql)


def filtered(conditions: Conditions, filter: ListingFilter, query: str | None) -> None:
    """Add all that the filter asks; `query` is what `ListingSearch.query` returned for it."""
    if query is not None:
        conditions.add("l.search @@ %s::tsquery", query)
    same(conditions, filter)
    ranges(conditions, filter)
    not_hidden(conditions, filter)
    not_ended(conditions, filter)


LISTS = ("fuel", "transmission", "body", "drive", "colour", "doors", "condition", "title_status")
"""The filters of which any value will do. The column has the same name."""
COLUMNS = (
    "id",
    "seller_id",
    "category_id",
    "visibility",
    "status",
    "year",
    "mileage",
    "price",
    *LISTS,
    "power_kw",
    "engine_cc",
    "owners",
    "vin",
    "place_id",
    "hidden_at",
    "hidden_until",
    "trashed_at",
    "expires_at",
    "stands_at",
)
"""The columns of listings that the conditions below read. Queries that first select rows need them for the rest."""


def facts(filter: ListingFilter) -> str | None:
    """Returns the part of the filter that `listings.facts` answers, as a tsquery; None if there is no such part.

    All rows that it finds satisfy `same`, and some of them not `ranges`.
    """
    parts = [
        " | ".join(quoted(f"{name}={value}") for value in wanted)
        for name in LISTS
        if (wanted := getattr(filter, name)) is not None
    ]
    for name, steps in (("power_kw", POWER_STEPS), ("engine_cc", ENGINE_STEPS)):
        least, most = getattr(filter, f"{name}_min"), getattr(filter, f"{name}_max")
        if least is not None or most is not None:
            first = 0 if least is None else _step(steps, least)
            last = len(steps) if most is None else _step(steps, most)
            parts.append(" | ".join(quoted(f"{name}={step}") for step in range(first, last + 1)))
    if filter.owners_max is not None:
        parts.append(" | ".join(quoted(f"owners={owners}") for owners in range(filter.owners_max + 1)))
    return " & ".join(f"({part})" for part in parts) if parts else None


def near_places(conditions: Conditions, filter: ListingFilter) -> None:
    """Leave out the rows of the table `places`, as `p`, that are too far away."""
    if filter.near is None or filter.within is None:
        return
    centre = position_of(filter.near)
    conditions.add(f"earth_box({centre}, %s) @> p.position", filter.within)
    conditions.add(f"earth_distance(p.position, {centre}) <= %s", filter.within)


def position_of(near: Place | Point) -> str:
    """Returns the position of a place or point as SQL."""
    # repr writes a number as SQL reads it.
    return f"ll_to_earth({float(near.latitude)!r}, {float(near.longitude)!r})"


def distance_to(near: Place | Point, position: str) -> str:
    """Returns the distance from a place or point to a position of the table `places`, as SQL, in whole metres."""
    return f"round(earth_distance({position}, {position_of(near)}))::bigint"


def nearness_to(near: Place | Point, position: str) -> str:
    """Returns an expression as SQL by which an index has positions in the order of their distances."""
    return f"{position} <-> {position_of(near)}"


def _step(steps: Sequence[int], value: int) -> int:
    """Returns how many of the steps the value reaches, as width_bucket does in `listing_facts` of schema.sql."""
    return sum(step <= value for step in steps)


def same(conditions: Conditions, filter: ListingFilter) -> None:
    """Add the filter's equal values."""
    if filter.category_id is not None:
        conditions.add("l.category_id = %s", filter.category_id)
    if filter.seller_id is not None:
        conditions.add("l.seller_id = %s", filter.seller_id)
    if filter.hidden is True:
        conditions.add(f"l.hidden_at IS NOT NULL AND {IS_HIDDEN}")
    if filter.status is not WantedStatus.ANY:
        conditions.add("l.status = %s", filter.status.value)
    if filter.near is not None and filter.within is None:
        conditions.add("l.place_id IS NOT NULL")
    elif filter.near is not None:
        places = Conditions()
        near_places(places, filter)
        conditions.add(f"l.place_id IN (SELECT p.id FROM places p WHERE {places.sql})", *places.parameters)
    if filter.vin is not None:
        conditions.add("l.vin = %s", filter.vin)
    for name in LISTS:
        wanted = getattr(filter, name)
        if wanted is not None:
            conditions.add(f"l.{name} = ANY (%s)", list(wanted))


def ranges(conditions: Conditions, filter: ListingFilter) -> None:
    """Add the filter's ranges as conditions on the expressions of the indexes. An unknown value is in no range."""
    if filter.year_min is not None:
        conditions.add("coalesce(l.year, -1) >= %s", filter.year_min)
    if filter.year_max is not None:
        conditions.add("coalesce(l.year, -1) BETWEEN 0 AND %s", filter.year_max)
    if filter.price_min is not None and filter.price_max is not None:
        # One range of one index has both limits: many rows may satisfy each limit, and yet none both.
        conditions.add("coalesce(l.price, -1) BETWEEN %s AND %s", filter.price_min, filter.price_max)
    elif filter.price_min is not None:
        conditions.add("coalesce(l.price, -1) >= %s", filter.price_min)
    elif filter.price_max is not None:
        conditions.add("coalesce(l.price, 9223372036854775807) <= %s", filter.price_max)
    if filter.mileage_max is not None:
        conditions.add("coalesce(l.mileage, 2147483647) <= %s", filter.mileage_max)
    for column in ("power_kw", "engine_cc", "owners"):
        least, most = getattr(filter, f"{column}_min", None), getattr(filter, f"{column}_max")
        if least is not None:
            conditions.add(f"l.{column} >= %s", least)
        if most is not None:
            conditions.add(f"l.{column} <= %s", most)


def not_hidden(conditions: Conditions, filter: ListingFilter) -> None:
    """Leave hidden listings out, if the filter does."""
    if filter.hidden is False:
        conditions.add(f"NOT {IS_HIDDEN}")


def not_ended(conditions: Conditions, filter: ListingFilter) -> None:
    """Leave out listings that have ended, unless every status is asked for: nobody can buy these cars any more."""
    if filter.status is not WantedStatus.ANY:
        conditions.add(f"NOT {HAS_ENDED}")


def visible(conditions: Conditions, viewer: Viewer) -> None:
    """Leave out what the viewer may not see."""
    # The condition needs the parameters in this order.
    user_id, sees_private, sees_hidden = viewer.parameters
    conditions.add(visible_to("%s::bigint", "%s", "%s"), sees_private, sees_hidden, user_id)
