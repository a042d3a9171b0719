"""SQL that finds listings: by words and filters, in every order, page by page. It yields ids; who reads them is asked
of the caller's viewer.

No plan is good for every search. Many matches: walk the order's index and pick them out, a page is full in no time. Few
matches: look them up by their words and sort them. Which it is nobody knows before, and the planner's guess is worst
where words go together (or never do). So each way is tried with a bound, the cheap ones first:

1. walk a little;
2. unless that found some: look the matches up, if there are not too many;
3. walk further: there are many matches, so some must come;
4. look all of the matches up. Slow, but only as slow as there are matches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.domain.listings import ListingFilter, Sort
from shared.domain.search import KnownWord, joined, quoted, terms, tsquery
from shared.postgres import Database, Statement
from shared.repositories.visibility import IS_HIDDEN, Viewer, visible_to

FIRST_WALK = 1_000
MATCHES = 4_000
SECOND_WALK = 20_000
"""In rows that are looked at."""
WORTHWHILE = 2
"""So many found by the first walk promise a full page to the second."""

_FOLD = Statement("search_fold", "SELECT folded($1)", ("text",))
# The greatest character there is ends the range of words that begin with another. What is spelled right needs no
# looking for what it resembles, which takes longest.
_NEAR_WORDS = Statement(
    "search_near_words",
    """SELECT asked.word, near.word, near.uses FROM unnest($1) AS asked (word) CROSS JOIN LATERAL (
           (SELECT v.word, v.uses FROM vocabulary v
            WHERE v.word >= asked.word COLLATE "C" AND v.word < (asked.word || chr(1114111)) COLLATE "C"
            ORDER BY v.word LIMIT 50)
           UNION
           (SELECT v.word, v.uses FROM vocabulary v
            WHERE asked.word ~ '^[[:alpha:]]{3,}$'
              AND NOT EXISTS (SELECT FROM vocabulary k WHERE k.word = asked.word AND k.uses >= 5)
            ORDER BY v.word <-> asked.word LIMIT 20)
       ) AS near""",
    ("text[]",),
)

_OPEN_CATEGORY = Statement(
    "search_open_category",
    "SELECT FROM categories WHERE id = $1 AND deleted_at IS NULL AND (visibility = 'public' OR $2)",
    ("bigint", "boolean"),
)


class Position(NamedTuple):
    """Where a page ended: the sort's key of its last row (its id again, if it is the newest first), and its id."""

    key: int
    id: int


@dataclass(frozen=True, slots=True)
class _Order:
    """An expression of schema.sql's indexes, and its direction."""

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


class _Conditions:
    """SQL conditions with their parameters, which stay in step."""

    def __init__(self) -> None:
        self._sql: list[str] = []
        self.parameters: list[Any] = []

    def add(self, sql: str, *parameters: Any) -> None:
        self._sql.append(sql)
        self.parameters += parameters

    @property
    def sql(self) -> str:
        return " AND ".join(self._sql) or "true"


class Search(NamedTuple):
    """One of the ways, as it is run."""

    statement: Statement
    parameters: tuple[Any, ...]


class ListingSearch:
    """Every method raises DatabaseUnavailable when Postgres is away."""

    def __init__(self, database: Database, observe: Callable[[Search], None] | None = None) -> None:
        """`observe` is told every search that is run, for a look at the plans."""
        self._database = database
        self._observe = observe

    async def find(
        self, filter: ListingFilter, sort: Sort, viewer: Viewer, *, after: Position | None, limit: int
    ) -> list[Position]:
        """The positions of the next listings that this viewer may see."""
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
        if len(found) == limit:
            return found
        return await self._positions(ways.look_up(None))

    async def query(self, filter: ListingFilter) -> str | None:
        """What of the filter the search index answers, as a tsquery: None if nothing, empty if it can match nothing."""
        parts = []
        if filter.text is not None:
            given = terms(await self._folded(filter.text))
            if not given:
                return ""
            asked = [*(term.spelling for term in given), *joined(given)]
            rows = await self._database.fetch(_NEAR_WORDS, asked)
            parts.append(tsquery(given, ((row[0], KnownWord(row[1], row[2])) for row in rows)))
        for name, value in (("make", filter.make), ("model", filter.model)):
            if value is not None:
                parts.append(quoted(f"{name}={await self._folded(value)}"))
        return " & ".join(parts) if parts else None

    async def _is_open(self, category_id: int, viewer: Viewer) -> bool:
        """Whether this viewer can see anything in a category: else all of it would be looked through in vain."""
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
    """How one page can be looked for; each answers rows of (key, id, matches looked at)."""

    filter: ListingFilter
    sort: Sort
    viewer: Viewer
    query: str | None
    after: Position | None
    limit: int

    @property
    def are_narrowed(self) -> bool:
        """Otherwise nearly every row is one of the page. A status narrows: few may be sold, or available."""
        return self.filter != ListingFilter(status=None)

    def walk(self, rows: int | None) -> Search:
        """Along the index of the order, over so many rows at most, picking out what matches."""
        order = ORDERS[self.sort]
        walked, picked = _Conditions(), _Conditions()
        walked.add("l.trashed_at IS NULL")
        if self.after is not None:
            walked.add(f"({order.key}, l.id) {order.comparison} (%s, %s)", self.after.key, self.after.id)
        _narrow_key(walked, self.sort, self.filter)
        # The bound is in rows that the inner part yields. So it has no condition but those of the index that it walks:
        # it would read the whole index in search of rows that another one keeps out.
        begun = _begin_of_index(self.sort, self.filter)
        if begun is not None:
            walked.add(*begun)
        if self.query is not None:
            picked.add("l.search @@ %s::tsquery", self.query)
        _same(picked, self.filter)
        _ranges(picked, self.filter)
        _not_hidden(picked, self.filter)
        _visible(picked, self.viewer)
        bound = "" if rows is None else f"LIMIT {rows}"
        # The inner rows come in order, and a row of `l` has one category and one seller: no sorting is left to do.
        sql = f"""SELECT l.key, l.id, 0
            FROM (SELECT {order.key} AS key, l.* FROM listings l WHERE {walked.sql}
                  ORDER BY {order.key} {order.direction}, l.id {order.direction} {bound}) AS l
            JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
            WHERE {picked.sql} ORDER BY l.key {order.direction}, l.id {order.direction} LIMIT %s"""
        return Search(Statement("", sql), (*walked.parameters, *picked.parameters, self.limit))

    def look_up(self, matches: int | None) -> Search:
        """By words or, without any, by whatever else narrows most; then sorted. There is always a row.

        If it looked at more matches than these, it has not looked at all of them.
        """
        order = ORDERS[self.sort]
        matched, picked = _Conditions(), _Conditions()
        matched.add("l.trashed_at IS NULL")
        is_by_words = self.query is not None and matches is not None
        if is_by_words:
            # In a sub-select, where the planner cannot see it: it takes it for a rare one, and so uses the index.
            matched.add("l.search @@ (SELECT %s::tsquery)", self.query)
        elif self.query is not None:
            matched.add("l.search @@ %s::tsquery", self.query)
        # Few words' matches are few: only many are worth looking for an index of something else as well.
        narrowing = picked if is_by_words else matched
        _same(narrowing, self.filter)
        _ranges(narrowing, self.filter)
        _not_hidden(picked, self.filter)
        _visible(picked, self.viewer)
        if self.after is not None:
            picked.add(f"({order.key}, l.id) {order.comparison} (%s, %s)", self.after.key, self.after.id)
        bound = "" if matches is None else f"LIMIT {matches + 1}"
        sql = f"""WITH matched AS MATERIALIZED (
                SELECT l.id, l.seller_id, l.category_id, l.visibility, l.status, l.year, l.mileage, l.price,
                       l.hidden_at, l.hidden_until, l.trashed_at
                FROM listings l WHERE {matched.sql} {bound}
            )
            SELECT page.key, page.id, counted.matches FROM (SELECT count(*) AS matches FROM matched) AS counted
            LEFT JOIN LATERAL (
                SELECT {order.key} AS key, l.id FROM matched l
                JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
                WHERE {picked.sql} ORDER BY {order.key} {order.direction}, l.id {order.direction} LIMIT %s
            ) AS page ON true ORDER BY page.key {order.direction}, page.id {order.direction}"""
        return Search(Statement("", sql), (*matched.parameters, *picked.parameters, self.limit))


def _narrow_key(conditions: _Conditions, sort: Sort, filter: ListingFilter) -> None:
    """Where the order begins and ends because of a range of the very values it sorts by."""
    key = ORDERS[sort].key
    match sort:
        case Sort.CHEAPEST | Sort.DEAREST:
            least, most = filter.price_min, filter.price_max
        case Sort.LEAST_DRIVEN:
            least, most = None, filter.mileage_max
        case Sort.YOUNGEST:
            least, most = filter.year_min, filter.year_max
        case _:
            return
    if least is not None:
        conditions.add(f"{key} >= %s", least)
    if most is not None:
        conditions.add(f"{key} <= %s", most)


def _begin_of_index(sort: Sort, filter: ListingFilter) -> tuple[Any, ...] | None:
    """What an index has before the sort's key: a condition and its parameters, if the filter has one of these."""
    if filter.category_id is not None and sort in (Sort.NEWEST, Sort.CHEAPEST, Sort.DEAREST):
        return "l.category_id = %s", filter.category_id
    if sort is not Sort.NEWEST:
        return None
    if filter.seller_id is not None:
        return "l.seller_id = %s", filter.seller_id
    if filter.hidden is True:
        return ("l.hidden_at IS NOT NULL",)
    if filter.status is not None:
        return "l.status = %s", filter.status.value
    return None


def _same(conditions: _Conditions, filter: ListingFilter) -> None:
    if filter.category_id is not None:
        conditions.add("l.category_id = %s", filter.category_id)
    if filter.seller_id is not None:
        conditions.add("l.seller_id = %s", filter.seller_id)
    if filter.hidden is True:
        conditions.add(f"l.hidden_at IS NOT NULL AND {IS_HIDDEN}")
    if filter.status is not None:
        conditions.add("l.status = %s", filter.status.value)


def _ranges(conditions: _Conditions, filter: ListingFilter) -> None:
    """On the expressions that the indexes have; an unknown value is in no range."""
    if filter.year_min is not None:
        conditions.add("coalesce(l.year, -1) >= %s", filter.year_min)
    if filter.year_max is not None:
        conditions.add("coalesce(l.year, -1) BETWEEN 0 AND %s", filter.year_max)
    if filter.price_min is not None and filter.price_max is not None:
        # One range of one index: many may be above the one and below the other, and yet none between them.
        conditions.add("coalesce(l.price, -1) BETWEEN %s AND %s", filter.price_min, filter.price_max)
    elif filter.price_min is not None:
        conditions.add("coalesce(l.price, -1) >= %s", filter.price_min)
    elif filter.price_max is not None:
        conditions.add("coalesce(l.price, 9223372036854775807) <= %s", filter.price_max)
    if filter.mileage_max is not None:
        conditions.add("coalesce(l.mileage, 2147483647) <= %s", filter.mileage_max)


def _not_hidden(conditions: _Conditions, filter: ListingFilter) -> None:
    if filter.hidden is False:
        conditions.add(f"NOT {IS_HIDDEN}")


def _visible(conditions: _Conditions, viewer: Viewer) -> None:
    # In the order in which the condition has them.
    user_id, sees_private, sees_hidden = viewer.parameters
    conditions.add(visible_to("%s::bigint", "%s", "%s"), sees_private, sees_hidden, user_id)


def _found(rows: list[Any]) -> list[Position]:
    """Of a look-up that found nothing the one row is empty."""
    return [Position(row[0], row[1]) for row in rows if row[1] is not None]
