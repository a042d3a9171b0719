"""Finds one page of listings, in the cheapest of the ways that fills it.

No way is good for every search. If many listings match, the best one walks along the order's index and picks matches:
the page is soon full. If few match, the best one looks them up by their words and sorts them. The number of matches is
not known in advance, and the planner guesses it badly for words that often, or never, occur together. So each way is
tried with a limit, the cheap ones first:

1. walk a little;
2. if that found hardly any: look the matches up, if there are not too many;
3. walk further: there are many matches, so it finds some;
4. unless that walk came to the end of the index: look up all matches, which is slow only if there are many.

How many listings the filter leaves the planner guesses well. So it is asked before the second, which then looks for
the words among these listings, if they are few.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from shared.postgres import Database
from shared.repositories.listing_ways import By, Position, Search, Ways, found

FIRST_WALK = 1_000
MATCHES = 4_000
SECOND_WALK = 20_000
"""How many rows the second walk looks at."""
CHECKED = 1_000
"""How many listings that have the other words are checked for one that begins with something."""
OTHERS = 2
"""If there are fewer other words, too many listings have them to be checked."""
WORTHWHILE = 2
"""If the first walk finds this many, the second one will probably fill the page."""


class LookUp(Protocol):
    """A look-up of matches, such as `Ways.look_up`."""

    def __call__(self, matches: int, /, *, checks_beginnings: bool) -> Search: ...


class ListingPages:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database, observe: Callable[[Search], None] | None = None) -> None:
        """`observe` is called with every search that is run, so that tests can check its plan."""
        self._database = database
        self._observe = observe

    async def page(self, ways: Ways) -> list[Position]:
        """Returns the positions of one page."""
        if not ways.are_narrowed:
            return await self.positions(ways.walk(None))
        walked = await self.positions(ways.walk(FIRST_WALK))
        if len(walked) == ways.limit:
            return walked
        return await self.further_page(ways, len(walked))

    async def further_page(self, ways: Ways, found_before: int) -> list[Position]:
        """Like `page`, when the first walk has found only `found_before`."""
        if found_before < WORTHWHILE:
            for by in await self._maybe_rare(ways):
                others = ways.others if by is By.WORDS else 0
                looked_up = await self.looked_up(MATCHES, partial(ways.look_up, by=by), others)
                if looked_up is not None:
                    return looked_up
        walked = await self.positions(ways.walk(SECOND_WALK))
        if len(walked) == ways.limit or await self._is_at_end(ways, SECOND_WALK):
            return walked
        return await self.positions(ways.look_up(None))

    async def looked_up(self, most: int, look_up: LookUp, others: int) -> list[Position] | None:
        """Returns the page that a look-up of at most `most` matches finds; None if there are more.

        `others` is that of its ways.
        """
        if others >= OTHERS:
            checked = await self.checked(most, look_up)
            if checked is not None:
                return checked
        rows = await self.rows(look_up(most, checks_beginnings=False))
        return found(rows) if rows[0][2] <= most else None

    async def checked(self, most: int, look_up: LookUp) -> list[Position] | None:
        """Like `looked_up`, if few listings have all that is asked for but what begins with something.

        That is dear to look up, and cheap to check in few rows.
        """
        fewer = min(CHECKED, most)
        rows = await self.rows(look_up(fewer, checks_beginnings=True))
        return found(rows) if rows[0][2] <= fewer else None

    async def positions(self, search: Search) -> list[Position]:
        """Returns what one search finds."""
        return found(await self.rows(search))

    async def rows(self, search: Search) -> list[Any]:
        """Returns the rows of one search."""
        if self._observe is not None:
            self._observe(search)
        return await self._database.fetch(search.statement, *search.parameters)

    async def _maybe_rare(self, ways: Ways) -> list[By]:
        """Returns by what few listings may be found, the more probable one first."""
        by_words = [By.WORDS] if ways.must is not None else []
        if not ways.has_filter:
            return by_words or [By.FILTER]
        search = ways.estimate()
        [[[plan]]] = await self._database.fetch(search.statement, *search.parameters)
        return [By.FILTER, *by_words] if plan["Plan"]["Plan Rows"] <= MATCHES else by_words

    async def _is_at_end(self, ways: Ways, rows: int) -> bool:
        """True if a walk of at most `rows` rows reached the end of the index: no match is left, as on a last page."""
        [[walked]] = await self.rows(ways.count(rows))
        return int(walked) < rows
