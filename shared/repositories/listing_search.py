"""SQL that searches listings by words and filters, in any order, page by page. Returns ids that the viewer may see.

No plan is good for every search. If many listings match, the best plan walks along the order's index and picks matches:
the page is soon full. If few match, the best plan looks them up by their words and sorts them. The number of matches is
not known in advance, and the planner guesses it badly for words that often, or never, occur together. So each way is
tried with a limit, the cheap ones first:

1. walk a little;
2. if that found hardly any: look the matches up, if there are not too many;
3. walk further: there are many matches, so it finds some;
4. unless that walk came to the end of the index: look up all matches, which is slow only if there are many.

By relevance, the results come in tiers (shared/domain/search.py), each the newest first. If the best tier does not fill
the page at once, and few listings are in all tiers together, one statement looks all of them up and says the tier of
each. Otherwise each tier is searched in the ways above, until the page is full. Words are corrected only when all that
does not fill the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from shared.domain.analysis import name_lexeme
from shared.domain.geography import Place, Point
from shared.domain.listings import ListingFilter, Sort, WantedStatus
from shared.domain.search import FIRST_CORRECTED, Asked, KnownWord, Nearness, Tier, quoted
from shared.logs import log_of
from shared.makes import NAMES
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.repositories.listing_conditions import (
    COLUMNS,
    Conditions,
    distance_to,
    facts,
    filtered,
    near_places,
    not_ended,
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
RANKED = 300
"""How many matches of all tiers are ranked by one statement."""
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
    """Where a page ended: the sorting key of its last row, and the row's id.

    If the most relevant come first, the key is the rank of the tier, and `within` the sorting key in it, which is that
    of the newest first.
    """

    key: int
    id: int
    within: int = 0


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


class Correction(NamedTuple):
    """What was searched for, and what was found instead."""

    typed: str
    found: str


class Found(NamedTuple):
    """Listings in order. `correction` is set if those after the first `as_typed` rest on a correction."""

    positions: list[Position]
    correction: Correction | None = None
    as_typed: int = 0

    def correction_of(self, first: int) -> Correction | None:
        """Returns the correction on which some of the first listings rest; None if they rest on none."""
        return self.correction if self.as_typed < first else None


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
    ) -> Found:
        """Returns the positions of the next listings that the viewer may see. By relevance needs words."""
        if filter.category_id is not None and not await self._is_open(filter.category_id, viewer):
            return Found([])
        names = _names(filter)
        if filter.q is None:
            return Found(await self._page(_Ways(filter, sort, viewer, names or None, after, limit)))
        asked = Asked.of(filter.q, NAMES)
        if not asked.required:
            return Found([])
        finding = _Finding(self, filter, viewer, names, asked, limit)
        if sort is Sort.RELEVANCE:
            return await finding.by_relevance(after)
        return await finding.by(sort, after)

    async def query(self, filter: ListingFilter) -> str | None:
        """Returns the part of the filter that the search index answers, as a tsquery.

        It is corrected if no visitor finds anything by the words as they are. None if there is no such part, "" if it
        cannot match anything.
        """
        names = _names(filter)
        if filter.q is None:
            return names or None
        asked = Asked.of(filter.q, NAMES)
        if not asked.required:
            return ""
        asked = await self.completed(asked)
        if not filter.verbatim and not await self.finds(asked, Viewer.of(None)):
            corrected = await self.corrected(asked, has_results=False)
            if corrected is not None:
                return _and(corrected.matches(Nearness.CORRECTED), names)
        return _and(asked.matches(), names)

    async def finds(self, asked: Asked, viewer: Viewer) -> bool:
        """True if the words alone find any listing that the viewer may see."""
        anything = ListingFilter(status=WantedStatus.ANY)
        found = await self._page(_Ways(anything, Sort.NEWEST, viewer, asked.matches(), None, 1))
        return bool(found)

    async def completed(self, asked: Asked) -> Asked:
        """Returns the search with the words of the vocabulary that complete the typed ones."""
        words = asked.words
        return asked.knowing(_known(await self._database.fetch(_KNOWN_WORDS, words))) if words else asked

    async def corrected(self, asked: Asked, *, has_results: bool) -> Asked | None:
        """Returns the search with corrections; None if there is nothing to correct, or it takes too long."""
        near = await self._near(asked.words_to_correct())
        return asked.corrected(near, has_results=has_results)

    async def _page(self, ways: _Ways) -> list[Position]:
        """Returns the positions of one page, found in the ways above."""
        if not ways.are_narrowed:
            return await self._positions(ways.walk(None))
        found = await self._positions(ways.walk(FIRST_WALK))
        if len(found) == ways.limit:
            return found
        return await self._further_page(ways, len(found))

    async def _further_page(self, ways: _Ways, found_before: int) -> list[Position]:
        """Like `_page`, when the first walk has found only `found_before`."""
        if found_before < WORTHWHILE:
            rows = await self._rows(ways.look_up(MATCHES))
            if rows[0][2] <= MATCHES:
                return _found(rows)
        found = await self._positions(ways.walk(SECOND_WALK))
        if len(found) == ways.limit or await self._is_at_end(ways, SECOND_WALK):
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


@dataclass(frozen=True, slots=True)
class _Finding:
    """One search for words. `names` is the tsquery of the filters by make and model, or ""."""

    search: ListingSearch
    filter: ListingFilter
    viewer: Viewer
    names: str
    asked: Asked
    limit: int

    async def by(self, sort: Sort, after: Position | None) -> Found:
        """Find in an order that says nothing of how well listings match.

        Words are corrected only if no listing at all has them, whatever the filter leaves out.
        """
        asked = await self.search.completed(self.asked)
        found = await self.search._page(self._ways(sort, asked.matches(), after, self.limit))
        if found or self.filter.verbatim or await self.search.finds(asked, self.viewer):
            return Found(found)
        corrected = await self.search.corrected(asked, has_results=False)
        if corrected is None:
            return Found([])
        found = await self.search._page(self._ways(sort, corrected.matches(Nearness.CORRECTED), after, self.limit))
        return Found(found, self._correction(corrected) if found else None)

    async def by_relevance(self, after: Position | None) -> Found:
        """Find tier after tier, the best first."""
        if after is None or after.key < FIRST_CORRECTED:
            found, asked = await self._uncorrected(self.asked, after, self.limit)
            if len(found) == self.limit or self.filter.verbatim:
                return Found(found)
            has_results, after = bool(found or after), None
        else:
            # The page before ended in a correction. What may correct depends on whether anything needed none.
            (some, asked), found = await self._uncorrected(self.asked, None, 1), []
            has_results = bool(some)
        corrected = await self.search.corrected(asked, has_results=has_results)
        if corrected is None:
            return Found(found)
        more = await self._tiers(corrected.corrected_tiers(), after, self.limit - len(found))
        return Found([*found, *more], self._correction(corrected) if more else None, len(found))

    async def _uncorrected(self, asked: Asked, after: Position | None, limit: int) -> tuple[list[Position], Asked]:
        """Find in all tiers without corrections. Also returns the search with completions, if it needed them."""
        titled, best = asked.titled(), asked.best()
        found = await self._tiers([titled], after, limit)
        if len(found) == limit:
            return found, asked
        rank, ways = best.rank, self._tier(best, after, limit - len(found))
        walked: list[Position] = []
        if after is None or after.key <= rank:
            # This fills most pages.
            walked = await self.search._positions(ways.walk(FIRST_WALK))
            if WORTHWHILE <= len(walked) < ways.limit:
                walked, rank = await self.search._further_page(ways, len(walked)), rank + 1
            if len(walked) == ways.limit:
                return [*found, *_of_tier(best, walked)], asked
        asked = await self.search.completed(asked)
        if rank == best.rank:
            # The best tier has few listings. If all tiers have few, they are looked up together.
            ranked = await self._ranked(asked, after, limit)
            if ranked is not None:
                return ranked, asked
            walked = []
        found += _of_tier(best, walked)
        rest = [tier for tier in asked.tiers() if tier.rank >= rank]
        return [*found, *await self._tiers(rest, after, limit - len(found))], asked

    async def _ranked(self, asked: Asked, after: Position | None, limit: int) -> list[Position] | None:
        """Find in all tiers without corrections with one statement; None if they have too many listings for it."""
        everything = self._ways(Sort.NEWEST, asked.matches(), None, WORTHWHILE)
        if len(await self.search._positions(everything.walk(FIRST_WALK))) == WORTHWHILE:
            return None
        ways = self._ways(Sort.RELEVANCE, asked.matches(), after, limit)
        most = None if self._is_narrowed else RANKED
        rows = await self.search._rows(ways.ranked(asked.tiers(), most))
        return _found(rows) if most is None or rows[0][2] <= most else None

    @property
    def _is_narrowed(self) -> bool:
        """True if more than the words leaves listings out."""
        return replace(self.filter, q=None, verbatim=False, status=WantedStatus.ANY) != ListingFilter(
            status=WantedStatus.ANY
        )

    async def _tiers(self, tiers: Sequence[Tier], after: Position | None, limit: int) -> list[Position]:
        """Find in these tiers, one after the other, until the page is full."""
        found: list[Position] = []
        for tier in tiers:
            if len(found) < limit and (after is None or tier.rank >= after.key):
                ways = self._tier(tier, after, limit - len(found))
                # Few titles are exactly what was typed.
                is_rare = tier.rank == 0
                page = await (self.search._further_page(ways, 0) if is_rare else self.search._page(ways))
                found += _of_tier(tier, page)
        return found

    def _tier(self, tier: Tier, after: Position | None, limit: int) -> _Ways:
        is_begun = after is not None and after.key == tier.rank
        position = Position(after.within, after.id) if after is not None and is_begun else None
        return self._ways(Sort.NEWEST, tier.query, position, limit)

    def _ways(self, sort: Sort, query: str, after: Position | None, limit: int) -> _Ways:
        return _Ways(self.filter, sort, self.viewer, _and(query, self.names), after, limit)

    def _correction(self, corrected: Asked) -> Correction:
        return Correction(self.filter.q or "", corrected.corrected_text)


def _of_tier(tier: Tier, found: list[Position]) -> list[Position]:
    return [Position(tier.rank, position.id, position.key) for position in found]


def _names(filter: ListingFilter) -> str:
    """Returns the tsquery of the filters by make and model."""
    given = (("make", filter.make), ("model", filter.model))
    return " & ".join(quoted(name_lexeme(name, value)) for name, value in given if value is not None)


def _and(query: str, names: str) -> str:
    return f"({query}) & {names}" if names else query


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
        return self.query is not None or self.filter != ListingFilter(status=WantedStatus.ANY)

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
        not_ended(picked, self.filter)
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

    def ranked(self, tiers: Sequence[Tier], matches: int | None) -> Search:
        """Look the matches up, and sort them by the first tier that each is in, the newest first.

        With `matches` by their words, else by whatever leaves out most rows. Returns at least one row. If its number of
        matches is greater than `matches`, some matches were left out, and no page was made.
        """
        matched, picked = Conditions(), Conditions()
        matched.add("l.trashed_at IS NULL")
        for column, query in (("search", self.query), ("facts", self.facts)):
            if query is not None:
                matched.add(f"l.{column} @@ " + ("%s::tsquery" if matches is None else "(SELECT %s::tsquery)"), query)
        narrowing = matched if matches is None else picked
        same(narrowing, self.filter)
        ranges(narrowing, self.filter)
        not_hidden(picked, self.filter)
        not_ended(picked, self.filter)
        visible(picked, self.viewer)
        # The last tier has what no tier before it has.
        ranks = " ".join(f"WHEN l.search @@ %s::tsquery THEN {tier.rank:d}" for tier in tiers[:-1])
        rank = f"CASE {ranks} ELSE {tiers[-1].rank:d} END"
        beyond = Conditions()
        if self.after is not None:
            beyond.add(
                "(ranked.key, -ranked.within, -ranked.id) > (%s, %s, %s)",
                self.after.key,
                -self.after.within,
                -self.after.id,
            )
        sql = f"""WITH matched AS MATERIALIZED (
                SELECT l.* FROM listings l WHERE {matched.sql} {"" if matches is None else f"LIMIT {matches + 1}"}
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
        parameters = (*matched.parameters, *asked, *picked.parameters, *beyond.parameters, self.limit)
        return Search(Statement("", sql), parameters)


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
    return [Position(row[0], row[1], *row[3:]) for row in rows if row[1] is not None]
