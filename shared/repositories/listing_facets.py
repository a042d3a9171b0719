"""SQL that counts the listings of a search for each value of each facet: so many diesels, so many hatchbacks.

A facet's own filter does not narrow its own counts: somebody who asked for diesels is told how many hybrids there are
too. So the facets without a filter are counted in one set of listings, and each facet with one in a set of its own.
Each set is selected by the same conditions as the search, and has only what the viewer may see.

The work is bounded. Neighbours in the table are looked at quickly, and matches that are scattered over it slowly, so
there is a bound for each. If a set has more listings, its counts are those of the listings that were looked at, and are
marked as the least there are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.domain.listings import ListingFilter, Sort, WantedStatus
from shared.domain.search import Matches, written
from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.repositories.listing_conditions import (
    COLUMNS,
    LISTS,
    Conditions,
    facts,
    not_ended,
    not_hidden,
    ranges,
    same,
    visible,
)
from shared.repositories.listing_search import ListingSearch
from shared.repositories.listing_ways import ORDERS, Search, begin_of_index, keys, search
from shared.repositories.visibility import Viewer

log = log_of(__name__)

FACETS = (
    "category_id",
    "make",
    "model",
    "fuel",
    "transmission",
    "body",
    "drive",
    "colour",
    "doors",
    "condition",
    "title_status",
)
"""The filters whose values are counted. The columns have the same names."""
MOST_NEWEST = 10_000
"""How many of the newest listings are looked at."""
MOST_MATCHES = 5_000
"""How many matches are looked at for the facets without a filter, and again for all others together."""
MOST_LOOKED_UP = 2
"""If more facets have a filter, and the search has many listings, they are counted among the newest: that is faster."""
ENOUGH = 30
"""If fewer of the newest belong to a facet, its listings are looked up nevertheless."""
MOST_VALUES = 200
"""The most values of a facet: those with the most listings."""

_LISTINGS = Statement("facets_listings", "SELECT reltuples::bigint FROM pg_class WHERE oid = 'listings'::regclass")
_FACTS: dict[str, Any] = dict.fromkeys(LISTS)
_RANGES_OF_FACTS: dict[str, Any] = dict.fromkeys(
    ("power_kw_min", "power_kw_max", "engine_cc_min", "engine_cc_max", "owners_max")
)
"""The filters that the index of facts answers, without a value."""


@dataclass(frozen=True, slots=True)
class CountedValue:
    """A value as the filter takes it, and the number of its listings."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class CountedFacet:
    """The values of a facet that occur, those with the most listings first."""

    name: str
    values: list[CountedValue]
    is_at_least: bool
    """True if there may be more listings of each value, and other values."""


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """The counts of one search."""

    total: int
    total_is_at_least: bool
    facets: list[CountedFacet]


@dataclass(frozen=True, slots=True)
class _Counts:
    """The counts of one set of listings: a number for each value of each facet."""

    values: dict[str, list[CountedValue]]
    total: int
    is_at_least: bool

    def rank(self) -> tuple[bool, int]:
        """Returns a greater value for better counts of the same set: whole ones, or of more listings."""
        return not self.is_at_least, self.total


class ListingFacets:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database, search: ListingSearch, *, seconds: float = 0.1) -> None:
        """Whatever is not bounded by a number of listings may take `seconds` in all."""
        self._database = database
        self._search = search
        self._seconds = seconds

    async def count(self, filter: ListingFilter, viewer: Viewer) -> FacetCounts:
        """Returns the counts of all facets, of listings that the viewer may see."""
        deadline = time.monotonic() + self._seconds
        own = [name for name in FACETS if getattr(filter, name) is not None]
        others = [name for name in FACETS if name not in own]
        base = await self._counted(filter, viewer, others, MOST_MATCHES, deadline)
        counts = dict.fromkeys(others, base)
        for name in own:
            without: dict[str, Any] = {name: None}
            most = MOST_MATCHES // len(own)
            are_many = base.is_at_least and len(own) > MOST_LOOKED_UP
            counts[name] = await self._counted(
                replace(filter, **without), viewer, [name], most, deadline, newest_first=are_many
            )
        facets = [CountedFacet(name, counts[name].values.get(name, []), counts[name].is_at_least) for name in FACETS]
        return FacetCounts(base.total, base.is_at_least, facets)

    async def _counted(
        self,
        filter: ListingFilter,
        viewer: Viewer,
        facets: Sequence[str],
        most: int,
        deadline: float,
        *,
        newest_first: bool = False,
    ) -> _Counts:
        matches = await self._search.matches(filter)
        if matches == ():
            return _Counts({}, 0, False)
        ways = _Ways(filter, viewer, matches, facets)
        found = _Counts({}, 0, True)
        if newest_first:
            found = await self._run(ways.newest(MOST_NEWEST), facets, MOST_NEWEST)
            if found.total >= ENOUGH:
                return found
        if ways.is_indexed:
            found = max(found, await self._run(ways.by_words_and_facts(most), facets, most), key=_Counts.rank)
        if found.is_at_least and ways.is_narrowed:
            found = max(found, await self._by_any_index(ways, facets, most, deadline), key=_Counts.rank)
        if found.is_at_least and (not found.total or await self._are_few()):
            found = max(found, await self._run(ways.newest(MOST_NEWEST), facets, MOST_NEWEST), key=_Counts.rank)
        return found

    async def _by_any_index(self, ways: _Ways, facets: Sequence[str], most: int, deadline: float) -> _Counts:
        """Returns no counts if this takes too long."""
        milliseconds = int((deadline - time.monotonic()) * 1000)
        if milliseconds < 1:
            return _Counts({}, 0, True)
        asked = ways.by_any_index(most)
        try:
            async with self._database.transaction() as transaction:
                await transaction.execute(Statement("", f"SET LOCAL statement_timeout = {milliseconds}"))
                return _counts(await transaction.fetch(asked.statement, *asked.parameters), facets, most)
        except DatabaseUnavailable as error:
            log.info("facets not counted in full", reason=str(error))
            return _Counts({}, 0, True)

    async def _are_few(self) -> bool:
        """True if the newest listings are probably all listings."""
        [[listings]] = await self._database.fetch(_LISTINGS)
        return int(listings) <= MOST_NEWEST

    async def _run(self, asked: Search, facets: Sequence[str], most: int) -> _Counts:
        return _counts(await self._database.fetch(asked.statement, *asked.parameters), facets, most)


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways to look at one set of listings, each as a statement that looks at `most` of them, and one more.

    They return rows of: bits that say of which facet the row is, all set for the total; the value; the number of
    listings; and how many were looked at.
    """

    filter: ListingFilter
    viewer: Viewer
    matches: Matches | None
    facets: Sequence[str]

    @property
    def _words(self) -> str | None:
        return written(self.matches) if self.matches else None

    @property
    def _indexed(self) -> list[tuple[str, str]]:
        return [(name, query) for name, query in (("search", self._words), ("facts", facts(self.filter))) if query]

    @property
    def is_indexed(self) -> bool:
        """True if words or facts narrow the search."""
        return bool(self._indexed)

    @property
    def is_narrowed(self) -> bool:
        """True if another condition than words, facts and the usual status narrows the search."""
        conditions = Conditions()
        same(conditions, replace(self.filter, **_FACTS, status=WantedStatus.ANY))
        ranges(conditions, replace(self.filter, **_RANGES_OF_FACTS))
        return conditions.sql != "true" or self.filter.status is WantedStatus.SOLD

    def by_words_and_facts(self, most: int) -> Search:
        """Look at what the index of words and facts finds. The other conditions are checked afterwards."""
        matched = Conditions()
        matched.add("l.trashed_at IS NULL")
        by_index, _ = keys(self.matches)
        found_by_facts = facts(self.filter)
        # The sub-select hides the query from the planner, as in the search itself.
        for query in by_index:
            matched.add("l.search @@ (SELECT %s::tsquery)", query)
        if found_by_facts is not None:
            matched.add("l.facts @@ (SELECT %s::tsquery)", found_by_facts)
        return self._counting(matched, most)

    def by_any_index(self, most: int) -> Search:
        """Look at what satisfies every condition that has an index; the planner chooses."""
        matched = Conditions()
        matched.add("l.trashed_at IS NULL")
        for column, query in self._indexed:
            matched.add(f"l.{column} @@ %s::tsquery", query)
        same(matched, self.filter)
        ranges(matched, self.filter)
        return self._counting(matched, most)

    def newest(self, most: int) -> Search:
        """Look at the newest listings, whatever they are."""
        matched = Conditions()
        matched.add("l.trashed_at IS NULL")
        begun = begin_of_index(Sort.NEWEST, self.filter)
        if begun is not None:
            matched.add(*begun)
        order = f"ORDER BY {ORDERS[Sort.NEWEST].key} DESC, l.id DESC"
        return self._counting(matched, most, [self._words] if self._words else [], order)

    def _counting(self, matched: Conditions, most: int, words: Sequence[str] = (), order: str = "") -> Search:
        """Count among the listings that are matched; they must also have the words of these tsqueries."""
        picked = Conditions()
        for query in words:
            picked.add("l.search @@ %s::tsquery", query)
        same(picked, self.filter)
        ranges(picked, self.filter)
        not_hidden(picked, self.filter)
        not_ended(picked, self.filter)
        visible(picked, self.viewer)
        columns = ", ".join(f"l.{name}" for name in dict.fromkeys((*COLUMNS, *FACETS, *(["search"] if words else []))))
        facet, value = "0", "NULL"
        if self.facets:
            facet = f"grouping({', '.join(f'l.{name}' for name in self.facets)})"
            value = f"coalesce({', '.join(f'l.{name}::text' for name in self.facets)})"
        sets = ", ".join((*(f"(l.{name})" for name in self.facets), "()"))
        facets = "".join(f"l.{name}, " for name in self.facets)
        # A filter instead of a WHERE, because the total must know how many were looked at. OFFSET keeps the planner
        # from checking the conditions again for each facet. A make is counted with its other spellings, which its
        # filter finds too.
        sql = f"""SELECT facet, (array_agg(value ORDER BY picked DESC, value))[1], sum(picked), sum(looked_at) FROM (
                SELECT {facet} AS facet, {value} AS value, count(*) FILTER (WHERE l.is_picked) AS picked,
                       count(*) AS looked_at
                FROM (
                    SELECT {facets}({picked.sql}) AS is_picked
                    FROM (SELECT {columns} FROM listings l WHERE {matched.sql} {order} LIMIT {most + 1}) AS l
                    JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
                    OFFSET 0
                ) AS l GROUP BY GROUPING SETS ({sets})
            ) AS counted
            WHERE picked > 0 OR value IS NULL GROUP BY facet, folded(value) ORDER BY 3 DESC, 2"""
        return search(sql, (*picked.parameters, *matched.parameters))


def _counts(rows: list[Any], facets: Sequence[str], most: int) -> _Counts:
    values: dict[str, list[CountedValue]] = {}
    total = looked = 0
    bits = {_bit(facets, name): name for name in facets}
    for bit, value, picked, looked_at in rows:
        name = bits.get(bit)
        if name is None:
            total, looked = int(picked), int(looked_at)
        elif value is not None and len(of := values.setdefault(name, [])) < MOST_VALUES:
            of.append(CountedValue(value, int(picked)))
    return _Counts(values, total, looked > most)


def _bit(facets: Sequence[str], name: str) -> int:
    """Returns what SQL's `grouping` is for the rows of this facet: a set bit for each other one."""
    return (1 << len(facets)) - 1 - (1 << (len(facets) - 1 - facets.index(name)))
