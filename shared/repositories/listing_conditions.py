"""A search's filter as SQL conditions on listings `l`, their categories `c` and sellers `s`, with their parameters.

Whatever selects listings by a filter uses these conditions, so that they all agree on what the filter means.
"""

from __future__ import annotations

from typing import Any

from shared.domain.listings import ListingFilter, WantedStatus
from shared.repositories.visibility import IS_HIDDEN, Viewer, visible_to


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


def not_hidden(conditions: Conditions, filter: ListingFilter) -> None:
    """Leave hidden listings out, if the filter does."""
    if filter.hidden is False:
        conditions.add(f"NOT {IS_HIDDEN}")


def visible(conditions: Conditions, viewer: Viewer) -> None:
    """Leave out what the viewer may not see."""
    # The condition needs the parameters in this order.
    user_id, sees_private, sees_hidden = viewer.parameters
    conditions.add(visible_to("%s::bigint", "%s", "%s"), sees_private, sees_hidden, user_id)
