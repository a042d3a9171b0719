"""The ways to find one page of listings by words and filters, in any order, as SQL. Runs nothing.

A walk goes along the index of the order, and picks the listings that match. A look-up finds the matches by the index of
words and facts, or by whatever leaves out most listings, and sorts them. How much each looks at is bounded, if its
caller wants that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, NamedTuple

from shared.domain.geography import Place, Point
from shared.domain.listings import ListingFilter, Sort, WantedStatus
from shared.domain.search import Matches, Tier, written
from shared.postgres import Statement
from shared.repositories.listing_conditions import (
    COLUMNS,
    Conditions,
    distance_to,
    facts,
    filtered,
    near_places,
    nearness_to,
    not_ended,
    not_hidden,
    ranges,
    same,
    visible,
)
from shared.repositories.visibility import Viewer

PLACES = 200
"""How many of the nearest places a walk looks at for each thousand listings that it looks at."""
_THOUSAND = 1_000
# Small tables, such as that of the places of listings, would be read as a whole: the next one may be large.
_BY_INDEX = "SET LOCAL enable_seqscan = off"


class By(Enum):
    """What a look-up finds rows by, before it checks the rest."""

    WORDS = auto()
    """The words, names and facts."""
    FILTER = auto()
    """The facts and all other conditions of the filter."""


class Position(NamedTuple):
    """Where a page ended: the sorting key of its last row, and the row's id.

    If the most relevant come first, the key is the rank of the tier, and `within` the sorting key in it, which is that
    of the newest first.
    """

    key: int
    id: int
    within: int = 0


class Search(NamedTuple):
    """One of the ways, as a statement with its parameters."""

    statement: Statement
    parameters: tuple[Any, ...]


def search(sql: str, parameters: Sequence[Any]) -> Search:
    """Returns a search that reads no table from its begin to its end, if there is an index."""
    return Search(Statement("", sql, first=_BY_INDEX), tuple(parameters))


@dataclass(frozen=True, slots=True)
class _Order:
    """An expression that schema.sql has an index for, and its direction."""

    key: str
    descending: bool

    @property
    def direction(self) -> str:
        return "DESC" if self.descending else "ASC"

    @property
    def comparison(self) -> str:
        return "<" if self.descending else ">"


ORDERS = {
    Sort.NEWEST: _Order("coalesce(l.stands_at, l.id)", True),
    Sort.CHEAPEST: _Order("coalesce(l.price, 9223372036854775807)", False),
    Sort.DEAREST: _Order("coalesce(l.price, -1)", True),
    Sort.LEAST_DRIVEN: _Order("coalesce(l.mileage, 2147483647)", False),
    Sort.YOUNGEST: _Order("coalesce(l.year, -1)", True),
}


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to find one page. All but `count` return rows of (key, id, number of matches that were looked at)."""

    filter: ListingFilter
    sort: Sort
    viewer: Viewer
    must: Matches | None
    """What the words and names of the search ask for; None without any."""
    better: tuple[Matches, ...]
    """Listings that have any of these are not wanted: they are in a better tier."""
    after: Position | None
    limit: int

    @property
    def facts(self) -> str | None:
        """The part of the filter that the index of facts answers, as a tsquery."""
        return facts(self.filter)

    @property
    def words(self) -> str | None:
        """All that the words and names ask for, as one tsquery."""
        if self.must is None:
            return None
        return " & ".join([written(self.must), *(f"!({written(one)})" for one in self.better)])

    @property
    def are_narrowed(self) -> bool:
        """True if a condition leaves rows out. Without one, nearly every row belongs to the page.

        A status counts as a condition: few listings may be sold, or available.
        """
        return self.must is not None or self.filter != ListingFilter(status=WantedStatus.ANY)

    def walk(self, rows: int | None) -> Search:
        """Walk along the order's index, over at most `rows` rows, and pick those that match."""
        order, source, picked = self.order, self._source(rows), Conditions()
        filtered(picked, self.filter, self.words)
        visible(picked, self.viewer)
        # The inner rows come in order, and each has one category and one seller, so nothing has to be sorted.
        sql = f"""SELECT l.key, l.id, 0 FROM ({source.sql}) AS l
            JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
            WHERE {picked.sql} ORDER BY l.key {order.direction}, l.id {order.direction} LIMIT %s"""
        return search(sql, (*source.parameters, *picked.parameters, self.limit))

    def count(self, rows: int) -> Search:
        """Count the rows that a walk over at most `rows` rows looks at, up to `rows`. Returns one row.

        If a walk looks at the nearest places only, and there are others, it counts as one that has looked at `rows`.
        """
        if self.sort is Sort.NEAREST:
            places, source = self._nearest(rows), self._source(rows)
            sql = f"""SELECT greatest(
                    (SELECT count(*) FROM ({source.sql}) AS walked),
                    (SELECT CASE WHEN count(*) > {_places(rows)} THEN {rows} ELSE 0 END FROM ({places.sql}) AS seen))"""
            return search(sql, (*source.parameters, *places.parameters))
        walked = self._walked()
        sql = f"SELECT count(*) FROM (SELECT FROM listings l WHERE {walked.sql} LIMIT {rows}) AS walked"
        return search(sql, walked.parameters)

    @property
    def has_filter(self) -> bool:
        """True if more than words and a status narrows the search."""
        narrowing = Conditions()
        same(narrowing, replace(self.filter, status=WantedStatus.ANY))
        ranges(narrowing, self.filter)
        return self.facts is not None or narrowing.sql != "true"

    def estimate(self) -> Search:
        """Ask the planner how many rows satisfy the filter, whatever their words. Returns its plan as JSON."""
        matched = Conditions()
        self._add_filter(matched)
        return Search(
            Statement("", f"EXPLAIN (FORMAT json) SELECT FROM listings l WHERE {matched.sql}"),
            tuple(matched.parameters),
        )

    def _source(self, rows: int | None) -> Conditions:
        """Returns the rows of a walk in order, as a SELECT of their sorting key and all columns."""
        order, walked, source = self.order, self._walked(), Conditions()
        bound = "" if rows is None else f"LIMIT {rows}"
        if self.sort is not Sort.NEAREST:
            sql = f"""SELECT {order.key} AS key, l.* FROM listings l WHERE {walked.sql}
                ORDER BY {order.key} {order.direction}, l.id {order.direction} {bound}"""
            source.add(sql, *walked.parameters)
            return source
        # Place by place, the nearest first. Of each only as many listings as there may be in all: a town can have many.
        if self.after is not None:
            walked.add("(n.key, l.id) > (%s, %s)", self.after.key, self.after.id)
        places = self._nearest(rows)
        nearest = "SELECT id, key FROM seen"
        if rows is not None:
            # If there are others, they may be as far as the last one, and so have listings that come before its.
            nearest += f" WHERE (SELECT count(*) FROM seen) <= {_places(rows)} OR key < (SELECT max(key) FROM seen)"
        sql = f"""WITH seen AS MATERIALIZED ({places.sql})
            SELECT n.key, l.* FROM ({nearest} ORDER BY key) AS n
            CROSS JOIN LATERAL (
                SELECT l.* FROM listings l WHERE l.place_id = n.id AND {walked.sql} ORDER BY l.id {bound}
            ) AS l ORDER BY n.key, l.id {bound}"""
        source.add(sql, *places.parameters, *walked.parameters)
        return source

    def _nearest(self, rows: int | None) -> Conditions:
        """Returns the nearest places as a SELECT of their ids and distances; with a limit of rows, not all."""
        places, nearest = Conditions(), Conditions()
        near_places(places, self.filter)
        distance = distance_to(self._near, "p.position")
        if self.after is not None:
            places.add(f"{distance} >= %s", self.after.key)
        bound = "" if rows is None else f"LIMIT {_places(rows) + 1}"
        nearest.add(
            f"""SELECT p.id, {distance} AS key FROM places p WHERE {places.sql}
                ORDER BY {nearness_to(self._near, "p.position")} {bound}""",
            *places.parameters,
        )
        return nearest

    @property
    def order(self) -> _Order:
        """The order of the page."""
        if self.sort is not Sort.NEAREST:
            return ORDERS[self.sort]
        distance = distance_to(self._near, "p.position")
        return _Order(f"(SELECT {distance} FROM places p WHERE p.id = l.place_id)", False)

    @property
    def _near(self) -> Place | Point:
        if self.filter.near is None:
            raise ValueError("this order needs a place")
        return self.filter.near

    def _walked(self) -> Conditions:
        """Returns the conditions of a walk.

        The walk's limit counts the rows that satisfy them. So they must be conditions on the index that it walks: with
        any other condition it could read the whole index before it has enough rows.
        """
        walked = Conditions()
        walked.add("l.trashed_at IS NULL")
        if self.sort is Sort.NEAREST:
            return walked
        order = self.order
        if self.after is not None:
            walked.add(f"({order.key}, l.id) {order.comparison} (%s, %s)", self.after.key, self.after.id)
        _narrow_key(walked, self.sort, self.filter)
        begun = begin_of_index(self.sort, self.filter)
        if begun is not None:
            walked.add(*begun)
        return walked

    @property
    def others(self) -> int:
        """How much else is asked for, if anything is that begins with something; else 0."""
        by_index, checked = keys(self.must, checks_beginnings=True)
        return len(by_index) if checked else 0

    def look_up(self, matches: int | None, *, by: By = By.WORDS, checks_beginnings: bool = False) -> Search:
        """Look up what the words or the filter find, and sort it. Without a limit of matches, the planner chooses.

        If it `checks_beginnings`, what begins with something is looked for in the rows that have the other words.
        Returns at least one row. If its number of matches is greater than `matches`, some matches were left out.
        """
        order, words = self.order, self.words
        matched, picked = Conditions(), Conditions()
        if matches is None:
            self._add_filter(matched)
            self._add_all_words(matched)
        elif by is By.WORDS:
            self._add_words(matched, picked, checks_beginnings)
            # These have few matches in most cases; a second index helps only if there are many.
            same(picked, self.filter)
            ranges(picked, self.filter)
        else:
            self._add_filter(matched)
            self._add_all_words(picked)
        not_hidden(picked, self.filter)
        not_ended(picked, self.filter)
        visible(picked, self.viewer)
        if self.after is not None:
            picked.add(f"({order.key}, l.id) {order.comparison} (%s, %s)", self.after.key, self.after.id)
        bound = "" if matches is None else f"LIMIT {matches + 1}"
        columns = COLUMNS if words is None else (*COLUMNS, "search")
        sql = f"""WITH matched AS MATERIALIZED (
                SELECT {", ".join(f"l.{column}" for column in columns)} FROM listings l WHERE {matched.sql} {bound}
            )
            SELECT page.key, page.id, counted.matches FROM (SELECT count(*) AS matches FROM matched) AS counted
            LEFT JOIN LATERAL (
                SELECT {order.key} AS key, l.id FROM matched l
                JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
                WHERE {picked.sql} ORDER BY {order.key} {order.direction}, l.id {order.direction} LIMIT %s
            ) AS page ON true ORDER BY page.key {order.direction}, page.id {order.direction}"""
        return search(sql, (*matched.parameters, *picked.parameters, self.limit))

    def ranked(self, tiers: Sequence[Tier], matches: int | None, *, checks_beginnings: bool = False) -> Search:
        """Look the matches up, and sort them by the first tier that each is in, the newest first.

        With `matches` by their words, as in `look_up`, else by whatever leaves out most rows. Returns at least one row.
        If its number of matches is greater than `matches`, some matches were left out, and no page was made.
        """
        matched, picked = Conditions(), Conditions()
        if matches is None:
            self._add_filter(matched)
            self._add_all_words(matched)
        else:
            self._add_words(matched, picked, checks_beginnings)
            same(picked, self.filter)
            ranges(picked, self.filter)
        not_hidden(picked, self.filter)
        not_ended(picked, self.filter)
        visible(picked, self.viewer)
        # The last tier has what no tier before it has.
        ranks = " ".join(f"WHEN l.search @@ %s::tsquery THEN {tier.rank:d}" for tier in tiers[:-1])
        rank = f"CASE {ranks} ELSE {tiers[-1].rank:d} END" if ranks else f"{tiers[-1].rank:d}"
        beyond = Conditions()
        if self.after is not None:
            beyond.add(
                "(ranked.key, -ranked.within, -ranked.id) > (%s, %s, %s)",
                self.after.key,
                -self.after.within,
                -self.after.id,
            )
        columns = ", ".join(f"l.{column}" for column in (*COLUMNS, "search"))
        sql = f"""WITH matched AS MATERIALIZED (
                SELECT {columns} FROM listings l WHERE {matched.sql} {"" if matches is None else f"LIMIT {matches + 1}"}
            )
            SELECT page.key, page.id, counted.matches, page.within
            FROM (SELECT count(*) AS matches FROM matched) AS counted LEFT JOIN LATERAL (
                SELECT ranked.key, ranked.id, ranked.within FROM (
                    SELECT {rank} AS key, l.id, {ORDERS[Sort.NEWEST].key} AS within FROM matched l
                    JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
                    WHERE {picked.sql}
                ) AS ranked WHERE {beyond.sql}
                ORDER BY ranked.key, ranked.within DESC, ranked.id DESC LIMIT %s
            ) AS page ON {"true" if matches is None else f"counted.matches <= {matches}"}
            ORDER BY page.key, page.within DESC, page.id DESC"""
        asked = [tier.matches for tier in tiers[:-1]]
        return search(sql, (*matched.parameters, *asked, *picked.parameters, *beyond.parameters, self.limit))

    def _add_words(self, matched: Conditions, picked: Conditions, checks_beginnings: bool) -> None:
        """Add the words and facts: to `matched` what the index answers, and the rest to `picked`."""
        matched.add("l.trashed_at IS NULL")
        by_index, checked = keys(self.must, self.better, checks_beginnings=checks_beginnings)
        indexed = [("search", key) for key in by_index]
        indexed += [("facts", query) for query in (self.facts,) if query is not None]
        for column, query in indexed:
            # The sub-select hides the query from the planner, which then takes it for a rare one and uses the index.
            matched.add(f"l.{column} @@ (SELECT %s::tsquery)", query)
        for query in checked:
            picked.add("l.search @@ %s::tsquery", query)

    def _add_all_words(self, conditions: Conditions) -> None:
        if self.words is not None:
            conditions.add("l.search @@ %s::tsquery", self.words)

    def _add_filter(self, matched: Conditions) -> None:
        """Add all conditions that an index answers, but for the words; the planner chooses among them."""
        matched.add("l.trashed_at IS NULL")
        if self.facts is not None:
            matched.add("l.facts @@ %s::tsquery", self.facts)
        same(matched, self.filter)
        ranges(matched, self.filter)


def keys(
    must: Matches | None, better: Sequence[Matches] = (), *, checks_beginnings: bool = False
) -> tuple[list[str], list[str]]:
    """Returns the tsqueries for the index of words, and those for the rows that it finds.

    Each thing that is asked for is a key of its own: Postgres goes from one's listings to the next one's, and evaluates
    only these. What begins with something is left for the rows, if that is wanted and the index has anything else.
    """
    if must is None:
        return [], []
    by_index = [one.query for one in must if not (checks_beginnings and one.begins)]
    checked = [one.query for one in must if checks_beginnings and one.begins]
    if not by_index:
        by_index, checked = checked, []
    without = [f"!({written(one)})" for one in better if not any(match.begins for match in one)]
    late = [f"!({written(one)})" for one in better if any(match.begins for match in one)]
    return [" & ".join([by_index[0], *without]), *by_index[1:]], [*checked, *late]


def _places(rows: int) -> int:
    """Returns how many places a walk over so many rows looks at."""
    return PLACES * max(1, rows // _THOUSAND)


def _narrow_key(conditions: Conditions, sort: Sort, filter: ListingFilter) -> None:
    """Bound the sorting key by the filter's range of the same values."""
    match sort:
        case Sort.CHEAPEST | Sort.DEAREST:
            least, most = filter.price_min, filter.price_max
        case Sort.LEAST_DRIVEN:
            least, most = None, filter.mileage_max
        case Sort.YOUNGEST:
            least, most = filter.year_min, filter.year_max
        case _:
            return
    key = ORDERS[sort].key
    if least is not None:
        conditions.add(f"{key} >= %s", least)
    if most is not None:
        conditions.add(f"{key} <= %s", most)


def begin_of_index(sort: Sort, filter: ListingFilter) -> tuple[Any, ...] | None:
    """Returns the condition on the column before the sorting key in an index, with its parameters; None without one."""
    if filter.category_id is not None and sort in (Sort.NEWEST, Sort.CHEAPEST, Sort.DEAREST):
        return "l.category_id = %s", filter.category_id
    if sort is not Sort.NEWEST:
        return None
    if filter.seller_id is not None:
        return "l.seller_id = %s", filter.seller_id
    if filter.hidden is True:
        return ("l.hidden_at IS NOT NULL",)
    if filter.status is not WantedStatus.ANY:
        return "l.status = %s", filter.status.value
    return None


def found(rows: list[Any]) -> list[Position]:
    """Returns the positions in the rows. A look-up that found nothing returns one empty row."""
    return [Position(row[0], row[1], *row[3:]) for row in rows if row[1] is not None]
