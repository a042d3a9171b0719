"""Finds the listings that match words best: tier after tier (shared/domain/search.py), each the newest first.

If the best tier does not fill the page at once, and few listings are in all tiers together, one statement looks all of
them up and says the tier of each. Otherwise each tier is searched on its own, until the page is full. Completions of
the last word are dear to look up, so a page that is full without them does not ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from shared.domain.listings import ListingFilter, Sort, WantedStatus
from shared.domain.search import FIRST_UNFINISHED, Asked, Matches, Nearness, Tier
from shared.repositories import listing_pages
from shared.repositories.listing_pages import ListingPages
from shared.repositories.listing_ways import Position, Ways
from shared.repositories.listing_words import WordsOfSearches
from shared.repositories.visibility import Viewer

RANKED = 4_000
"""How many matches of all tiers are ranked by one statement."""
MANY_OTHERS = 5
"""With so many words besides an unfinished one, few listings have them all, and each may be checked for that one."""
TOO_MANY = 7
"""If the first walk finds this many, there are probably more matches than that."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """One search. `names` is what the filters by make and model ask for."""

    pages: ListingPages
    words: WordsOfSearches
    filter: ListingFilter
    viewer: Viewer
    names: Matches

    async def uncorrected(self, asked: Asked, after: Position | None, limit: int) -> tuple[list[Position], Asked]:
        """Find in all tiers without corrections. Also returns the search with completions, if it needed them."""
        best = asked.best()
        positions = await self.tiers([asked.titled()], after, limit)
        if len(positions) == limit:
            return positions, asked
        rank, ways = best.rank, self._tier(best, after, limit - len(positions))
        walked: list[Position] = []
        if after is None or after.key <= rank:
            # This fills most pages.
            walked = await self.pages.positions(ways.walk(listing_pages.FIRST_WALK))
            if listing_pages.WORTHWHILE <= len(walked) < ways.limit:
                walked, rank = await self.pages.further_page(ways, len(walked)), rank + 1
            if len(walked) == ways.limit:
                return [*positions, *_of_tier(best, walked)], asked
        asked = await self.words.completed(asked)
        if rank == best.rank:
            # The best tier has few listings. If all tiers have few, they are looked up together.
            ranked = await self._ranked(asked, after, limit)
            if ranked is not None:
                return ranked, asked
            walked = []
        positions += _of_tier(best, walked)
        rest = [tier for tier in asked.tiers() if tier.rank >= rank]
        return [*positions, *await self.tiers(rest, after, limit - len(positions))], asked

    async def tiers(self, tiers: Sequence[Tier], after: Position | None, limit: int) -> list[Position]:
        """Find in these tiers, one after the other, until the page is full."""
        positions: list[Position] = []
        for tier in tiers:
            if len(positions) < limit and (after is None or tier.rank >= after.key):
                ways = self._tier(tier, after, limit - len(positions))
                # Few titles are exactly what was typed.
                is_rare = tier.rank == 0
                page = await (self.pages.further_page(ways, 0) if is_rare else self.pages.page(ways))
                positions += _of_tier(tier, page)
        return positions

    async def _ranked(self, asked: Asked, after: Position | None, limit: int) -> list[Position] | None:
        """Find in all tiers without corrections with one statement; None if they have too many listings for it."""
        everything = self._ways(Sort.NEWEST, asked.must(), (), None, TOO_MANY)
        if len(await self.pages.positions(everything.walk(listing_pages.FIRST_WALK))) == TOO_MANY:
            return None
        tiers, whole_tiers = asked.tiers(), asked.tiers(Nearness.FORM)
        ways = self._ways(Sort.RELEVANCE, asked.must(), (), after, limit)
        if self._is_narrowed:
            return await self.pages.positions(ways.ranked(tiers, None))
        look_up = partial(ways.ranked, tiers)
        if ways.others >= MANY_OTHERS:
            checked = await self.pages.checked(RANKED, look_up)
            if checked is not None:
                return checked
        if len(tiers) > len(whole_tiers) and (after is None or after.key < FIRST_UNFINISHED):
            whole = self._ways(Sort.RELEVANCE, asked.must(Nearness.FORM), (), after, limit)
            positions = await self.pages.looked_up(RANKED, partial(whole.ranked, whole_tiers), whole.others)
            if positions is None or len(positions) == limit:
                return positions
        return await self.pages.looked_up(RANKED, look_up, ways.others)

    @property
    def _is_narrowed(self) -> bool:
        """True if more than the words leaves listings out."""
        return replace(self.filter, q=None, verbatim=False, status=WantedStatus.ANY) != ListingFilter(
            status=WantedStatus.ANY
        )

    def _tier(self, tier: Tier, after: Position | None, limit: int) -> Ways:
        is_begun = after is not None and after.key == tier.rank
        position = Position(after.within, after.id) if after is not None and is_begun else None
        return self._ways(Sort.NEWEST, tier.must, tier.better, position, limit)

    def _ways(self, sort: Sort, must: Matches, better: tuple[Matches, ...], after: Position | None, limit: int) -> Ways:
        return Ways(self.filter, sort, self.viewer, (*must, *self.names), better, after, limit)


def _of_tier(tier: Tier, positions: list[Position]) -> list[Position]:
    return [Position(tier.rank, position.id, position.key) for position in positions]
