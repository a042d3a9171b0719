"""SQL that searches listings by words and filters, in any order, page by page. Returns ids that the viewer may see.

No plan is good for every search. If many listings match, the best plan walks along the order's index and picks matches:
the page is soon full. If few match, the best plan looks them up by their words and sorts them. The number of matches is
not known in advance, and the planner guesses it badly for words that often, or never, occur together. So each way is
tried with a limit, the cheap ones first:

1. walk a little;
2. if that found hardly any: look the matches up, if there are not too many;
3. walk further: there are many matches, so it finds some;
4. unless that walk came to the end of the index: look up all matches, which is slow only if there are many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.domain.geography import Place, Point
from shared.domain.listings import ListingFilter, Sort, WantedStatus
from shared.domain.search import KnownWord, joined, quoted, terms, tsquery, words_to_correct
from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.repositories.listing_conditions import (
    COLUMNS,
    Conditions,
    distance_to,
    facts,
    filtered,
    near_places,
    not_hidden,
    ranges,
    same,
    visible,
)
from shared.repositories.visibility import Viewer

log = log_of(__name__)

FIRST_WALK = 1_000
MATCHES = 4_000
SECOND_WALK = 20_000
"""How many rows the second walk looks at."""
WORTHWHILE = 2
"""If the first walk finds this many, the second one will probably fill the page."""

_FOLD = Statement("search_fold", "SELECT folded($1)", ("text",))
# The greatest character ends the range of words with a given beginning.
_KNOWN_WORDS = Statement(
    "search_known_words",
    """SELECT asked.word, known.word, known.uses FROM unnest($1) AS asked (word) CROSS JOIN LATERAL (
           SELECT v.word, v.uses FROM vocabulary v
           WHERE v.word >= asked.word COLLATE "C" AND v.word < (asked.word || chr(1114111)) COLLATE "C"
           ORDER BY v.word = asked.word DESC, v.uses DESC, v.word LIMIT 50
       ) AS known""",
    ("text[]",),
)
# The slowest part of a search: it reads much of the vocabulary for each word.
_NEAR_WORDS = Statement(
    "search_near_words",
    """SELECT asked.word, near.word, near.uses FROM unnest($1) AS asked (word) CROSS JOIN LATERAL (
           SELECT v.word, v.uses FROM vocabulary v ORDER BY v.word <-> asked.word LIMIT 20
       ) AS near""",
    ("text[]",),
)

_OPEN_CATEGORY = Statement(
    "search_open_category",
    "SELECT FROM categories WHERE id = $1 AND deleted_at IS NULL AND (visibility = 'public' OR $2)",
    ("bigint", "boolean"),
)


class Position(NamedTuple):
    """Where a page ended: the sorting key of its last row (its id, if the newest come first), and the row's id."""

    key: int
    id: int


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
    Sort.NEWEST: _Order("l.id", True),
    Sort.CHEAPEST: _Order("coalesce(l.price, 9223372036854775807)", False),
    Sort.DEAREST: _Order("coalesce(l.price, -1)", True),
    Sort.LEAST_DRIVEN: _Order("coalesce(l.mileage, 2147483647)", False),
    Sort.YOUNGEST: _Order("coalesce(l.year, -1)", True),
}


class Search(NamedTuple):
    """One of the ways above, as a statement with its parameters."""

    statement: Statement
    parameters: tuple[Any, ...]


class ListingSearch:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(
        self,
        database: Database,
        observe: Callable[[Search], None] | None = None,
        *,
        correction_seconds: float = 0.2,
    ) -> None:
        """Correcting the words of a search may take `correction_seconds`.

        `observe` is called with every search that is run, so that tests can check its plan.
        """
        self._database = database
        self._limit = Statement("", f"SET LOCAL statement_timeout = {math.ceil(correction_seconds * 1000)}")
        self._observe = observe

    async def find(
        self, filter: ListingFilter, sort: Sort, viewer: Viewer, *, after: Position | None, limit: int
    ) -> list[Position]:
        """Returns the positions of the next listings that the viewer may see."""
        if filter.category_id is not None and not await self._is_open(filter.category_id, viewer):
            return []
        query = await self.query(filter)
        if query == "":
            return []
        ways = _Ways(filter, sort, viewer, query, after, limit)
        if not ways.are_narrowed:
            return await self._positions(ways.walk(None))
        found = await self._positions(ways.walk(FIRST_WALK))
        if len(found) == limit:
            return found
        if len(found) < WORTHWHILE:
            rows = await self._rows(ways.look_up(MATCHES))
            if rows[0][2] <= MATCHES:
                return _found(rows)
        found = await self._positions(ways.walk(SECOND_WALK))
        if len(found) == limit or await self._is_at_end(ways, SECOND_WALK):
            return found
        return await self._positions(ways.look_up(None))

    async def distances(self, listing_ids: Sequence[int], near: Place | Point) -> dict[int, int]:
        """Returns how far each listing's place is from `near`, in metres. Listings without a place are absent."""
        sql = f"""SELECT l.id, {distance_to(near, "p.position")} FROM listings l JOIN places p ON p.id = l.place_id
            WHERE l.id = ANY (%s)"""
        rows: list[Any] = await self._database.fetch(Statement("", sql), list(listing_ids))
        return dict(rows)

    async def _is_at_end(self, ways: _Ways, rows: int) -> bool:
        """True if a walk of at most `rows` rows reached the end of the index: no match is left, as on a last page."""
        [[walked]] = await self._rows(ways.count(rows))
        return int(walked) < rows

    async def query(self, filter: ListingFilter) -> str | None:
        """Returns the part of the filter that the search index answers, as a tsquery.

        None if there is no such part, "" if it cannot match anything.
        """
        parts = []
        if filter.q is not None:
            typed = terms(await self._folded(filter.q))
            if not typed:
                return ""
            asked = [*(term.spelling for term in typed), *joined(typed)]
            known = _known(await self._database.fetch(_KNOWN_WORDS, asked))
            parts.append(tsquery(typed, [*known, *await self._near(words_to_correct(typed, known))]))
        for name, value in (("make", filter.make), ("model", filter.model)):
            if value is not None:
                parts.append(quoted(f"{name}={await self._folded(value)}"))
        return " & ".join(parts) if parts else None

    async def _near(self, words: list[str]) -> list[tuple[str, KnownWord]]:
        """Returns the words of the vocabulary that resemble each word; none if finding them takes too long."""
        if not words:
            return []
        try:
            async with self._database.transaction() as transaction:
                await transaction.execute(self._limit)
                return _known(await transaction.fetch(_NEAR_WORDS, words))
        except DatabaseUnavailable as error:
            log.warning("search not corrected", reason=str(error))
            return []

    async def _is_open(self, category_id: int, viewer: Viewer) -> bool:
        """True if the viewer may see anything in the category. If not, there is no need to search it."""
        return await self._database.fetch_one(_OPEN_CATEGORY, category_id, viewer.sees_private) is not None

    async def _positions(self, search: Search) -> list[Position]:
        return _found(await self._rows(search))

    async def _rows(self, search: Search) -> list[Any]:
        if self._observe is not None:
            self._observe(search)
        return await self._database.fetch(search.statement, *search.parameters)

    async def _folded(self, text: str) -> str:
        row = await self._database.fetch_one(_FOLD, text)
        assert row is not None
        return str(row[0])


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways to find one page. All but `count` return rows of (key, id, number of matches that were looked at)."""

    filter: ListingFilter
    sort: Sort
    viewer: Viewer
    query: str | None
    after: Position | None
    limit: int

    @property
    def facts(self) -> str | None:
        """The part of the filter that the index of facts answers, as a tsquery."""
        return facts(self.filter)

    @property
    def are_narrowed(self) -> bool:
        """True if a condition leaves rows out. Without one, nearly every row belongs to the page.

        A status counts as a condition: few listings may be sold, or available.
        """
        return self.filter != ListingFilter(status=WantedStatus.ANY)

    def walk(self, rows: int | None) -> Search:
        """Walk along the order's index, over at most `rows` rows, and pick those that match."""
        order, source, picked = self.order, self._source(rows), Conditions()
        filtered(picked, self.filter, self.query)
        visible(picked, self.viewer)
        # The inner rows come in order, and each has one category and one seller, so nothing has to be sorted.
        sql = f"""SELECT l.key, l.id, 0 FROM ({source.sql}) AS l
            JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
            WHERE {picked.sql} ORDER BY l.key {order.direction}, l.id {order.direction} LIMIT %s"""
        return Search(Statement("", sql), (*source.parameters, *picked.parameters, self.limit))

    def count(self, rows: int) -> Search:
        """Count the rows that a walk over at most `rows` rows looks at. Returns one row."""
        if self.sort is Sort.NEAREST:
            source = self._source(rows)
            return Search(Statement("", f"SELECT count(*) FROM ({source.sql}) AS walked"), tuple(source.parameters))
        walked = self._walked()
        sql = f"SELECT count(*) FROM (SELECT FROM listings l WHERE {walked.sql} LIMIT {rows}) AS walked"
        return Search(Statement("", sql), tuple(walked.parameters))

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
        places = Conditions()
        near_places(places, self.filter)
        distance = distance_to(self._near, "p.position")
        if self.after is not None:
            places.add(f"{distance} >= %s", self.after.key)
            walked.add("(n.key, l.id) > (%s, %s)", self.after.key, self.after.id)
        sql = f"""SELECT n.key, l.*
            FROM (SELECT p.id, {distance} AS key FROM places p WHERE {places.sql} ORDER BY 2) AS n
            CROSS JOIN LATERAL (
                SELECT l.* FROM listings l WHERE l.place_id = n.id AND {walked.sql} ORDER BY l.id {bound}
            ) AS l ORDER BY n.key, l.id {bound}"""
        source.add(sql, *places.parameters, *walked.parameters)
        return source

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

    def look_up(self, matches: int | None) -> Search:
        """Look up what has the words and facts or, without these, satisfies the rarest condition; then sort it.

        Returns at least one row. If its number of matches is greater than `matches`, some matches were left out.
        """
        order = self.order
        matched, picked = Conditions(), Conditions()
        matched.add("l.trashed_at IS NULL")
        indexed = [(column, query) for column, query in (("search", self.query), ("facts", self.facts)) if query]
        for column, query in indexed:
            # The sub-select hides the query from the planner, which then takes it for a rare one and uses the index.
            matched.add(f"l.{column} @@ " + ("%s::tsquery" if matches is None else "(SELECT %s::tsquery)"), query)
        # These have few matches in most cases; a second index helps only if there are many.
        narrowing = picked if indexed and matches is not None else matched
        same(narrowing, self.filter)
        ranges(narrowing, self.filter)
        not_hidden(picked, self.filter)
        visible(picked, self.viewer)
        if self.after is not None:
            picked.add(f"({order.key}, l.id) {order.comparison} (%s, %s)", self.after.key, self.after.id)
        bound = "" if matches is None else f"LIMIT {matches + 1}"
        sql = f"""WITH matched AS MATERIALIZED (
                SELECT {", ".join(f"l.{column}" for column in COLUMNS)} FROM listings l WHERE {matched.sql} {bound}
            )
            SELECT page.key, page.id, counted.matches FROM (SELECT count(*) AS matches FROM matched) AS counted
            LEFT JOIN LATERAL (
                SELECT {order.key} AS key, l.id FROM matched l
                JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
                WHERE {picked.sql} ORDER BY {order.key} {order.direction}, l.id {order.direction} LIMIT %s
            ) AS page ON true ORDER BY page.key {order.direction}, page.id {order.direction}"""
        return Search(Statement("", sql), (*matched.parameters, *picked.parameters, self.limit))


def _known(rows: list[Any]) -> list[tuple[str, KnownWord]]:
    return [(row[0], KnownWord(row[1], row[2])) for row in rows]


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


def _found(rows: list[Any]) -> list[Position]:
    """Returns the positions in the rows. A look-up that found nothing returns one empty row."""
    return [Position(row[0], row[1]) for row in rows if row[1] is not None]
