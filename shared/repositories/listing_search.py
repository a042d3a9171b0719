"""Searches listings by words and filters, in any order, page by page. Returns ids that the viewer may see.

`listing_ways.py` has the SQL, `listing_pages.py` chooses among the ways, and `listing_relevance.py` finds the best
matches first. Words are corrected only when all that does not fill the page (`listing_words.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.domain.analysis import name_lexeme
from shared.domain.geography import Place, Point
from shared.domain.listings import ListingFilter, Sort, WantedStatus
from shared.domain.search import FIRST_CORRECTED, Asked, Match, Matches, Nearness, quoted, written
from shared.makes import NAMES
from shared.postgres import Database, Statement
from shared.repositories.listing_conditions import distance_to
from shared.repositories.listing_pages import ListingPages
from shared.repositories.listing_relevance import Relevance
from shared.repositories.listing_ways import Position, Search, Ways
from shared.repositories.listing_words import WordsOfSearches
from shared.repositories.visibility import Viewer

_OPEN_CATEGORY = Statement(
    "search_open_category",
    "SELECT FROM categories WHERE id = $1 AND deleted_at IS NULL AND (visibility = 'public' OR $2)",
    ("bigint", "boolean"),
)


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
        self._pages = ListingPages(database, observe)
        self._words = WordsOfSearches(database, correction_seconds)

    async def find(
        self, filter: ListingFilter, sort: Sort, viewer: Viewer, *, after: Position | None, limit: int
    ) -> Found:
        """Returns the positions of the next listings that the viewer may see. By relevance needs words."""
        if filter.category_id is not None and not await self._is_open(filter.category_id, viewer):
            return Found([])
        names = _names(filter)
        if filter.q is None:
            return Found(await self._pages.page(Ways(filter, sort, viewer, names or None, (), after, limit)))
        asked = Asked.of(filter.q, NAMES)
        if not asked.required:
            return Found([])
        finding = _Finding(self._pages, self._words, filter, viewer, names, asked, limit)
        if sort is Sort.RELEVANCE:
            return await finding.by_relevance(after)
        return await finding.by(sort, after)

    async def matches(self, filter: ListingFilter) -> Matches | None:
        """Returns the part of the filter that the index of words answers.

        It is corrected if no visitor finds anything by the words as they are. None if there is no such part, empty if
        it cannot match anything.
        """
        names = _names(filter)
        if filter.q is None:
            return names or None
        asked = Asked.of(filter.q, NAMES)
        if not asked.required:
            return ()
        asked = await self._words.completed(asked)
        if not filter.verbatim and not await _finds(self._pages, asked, Viewer.of(None)):
            corrected = await self._words.corrected(asked, has_results=False)
            if corrected is not None:
                return *corrected.must(Nearness.CORRECTED), *names
        return *asked.must(), *names

    async def query(self, filter: ListingFilter) -> str | None:
        """Returns the same as one tsquery, "" if it cannot match anything."""
        matches = await self.matches(filter)
        return written(matches) if matches is not None else None

    async def distances(self, listing_ids: Sequence[int], near: Place | Point) -> dict[int, int]:
        """Returns how far each listing's place is from `near`, in metres. Listings without a place are absent."""
        sql = f"""SELECT l.id, {distance_to(near, "p.position")} FROM listings l JOIN places p ON p.id = l.place_id
            WHERE l.id = ANY (%s)"""
        rows: list[Any] = await self._database.fetch(Statement("", sql), list(listing_ids))
        return dict(rows)

    async def _is_open(self, category_id: int, viewer: Viewer) -> bool:
        """True if the viewer may see anything in the category. If not, there is no need to search it."""
        return await self._database.fetch_one(_OPEN_CATEGORY, category_id, viewer.sees_private) is not None


@dataclass(frozen=True, slots=True)
class _Finding:
    """One search for words. `names` is what the filters by make and model ask for."""

    pages: ListingPages
    words: WordsOfSearches
    filter: ListingFilter
    viewer: Viewer
    names: Matches
    asked: Asked
    limit: int

    async def by(self, sort: Sort, after: Position | None) -> Found:
        """Find in an order that says nothing of how well listings match.

        Words are corrected only if no listing at all has them, whatever the filter leaves out.
        """
        asked = await self.words.completed(self.asked)
        positions = await self._page(sort, asked.must(), after)
        if positions or self.filter.verbatim or await _finds(self.pages, asked, self.viewer):
            return Found(positions)
        corrected = await self.words.corrected(asked, has_results=False)
        if corrected is None:
            return Found([])
        positions = await self._page(sort, corrected.must(Nearness.CORRECTED), after)
        return Found(positions, self._correction(corrected) if positions else None)

    async def by_relevance(self, after: Position | None) -> Found:
        """Find tier after tier, the best first."""
        relevance = Relevance(self.pages, self.words, self.filter, self.viewer, self.names)
        if after is None or after.key < FIRST_CORRECTED:
            positions, asked = await relevance.uncorrected(self.asked, after, self.limit)
            if len(positions) == self.limit or self.filter.verbatim:
                return Found(positions)
            has_results, after = bool(positions or after), None
        else:
            # The page before ended in a correction. What may correct depends on whether anything needed none.
            (some, asked), positions = await relevance.uncorrected(self.asked, None, 1), []
            has_results = bool(some)
        corrected = await self.words.corrected(asked, has_results=has_results)
        if corrected is None:
            return Found(positions)
        more = await relevance.tiers(corrected.corrected_tiers(), after, self.limit - len(positions))
        return Found([*positions, *more], self._correction(corrected) if more else None, len(positions))

    async def _page(self, sort: Sort, must: Matches, after: Position | None) -> list[Position]:
        return await self.pages.page(Ways(self.filter, sort, self.viewer, (*must, *self.names), (), after, self.limit))

    def _correction(self, corrected: Asked) -> Correction:
        return Correction(self.filter.q or "", corrected.corrected_text)


async def _finds(pages: ListingPages, asked: Asked, viewer: Viewer) -> bool:
    """True if the words alone find any listing that the viewer may see."""
    anything = ListingFilter(status=WantedStatus.ANY)
    return bool(await pages.page(Ways(anything, Sort.NEWEST, viewer, asked.must(), (), None, 1)))


def _names(filter: ListingFilter) -> Matches:
    """Returns what the filters by make and model ask for."""
    given = (("make", filter.make), ("model", filter.model))
    return tuple(Match(quoted(name_lexeme(name, value))) for name, value in given if value is not None)
