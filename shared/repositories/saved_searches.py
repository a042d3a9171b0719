"""SQL about saved searches: their parameters, and what narrows the searches that a listing may match.

The parameters are stored as they were given. `words` and the other narrowing columns follow from them: matching.py uses
them to leave out searches that a listing cannot match, and then asks the conditions of the search itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from shared.access.policy import Action
from shared.domain.alerts import MAX_COUNTED_OF_A_SEARCH, MAX_SEARCHES, SavedSearch, SearchNotFound, TooManySearches
from shared.domain.listings import ListingFilter, WantedStatus
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.alerts import unseen

_NARROWING = {
    "category_id": "bigint",
    "seller_id": "bigint",
    "status": "text",
    "year_min": "integer",
    "year_max": "integer",
    "price_min": "bigint",
    "price_max": "bigint",
    "mileage_max": "bigint",
}
"""Columns that repeat a part of the filter, with their types."""
_NAMES = ", ".join(_NARROWING)
_COLUMNS = f"""q.id, q.name, q.query, q.created_at, ({unseen("a.search_id = q.id", MAX_COUNTED_OF_A_SEARCH)})"""

# One person's additions wait for each other, so that none of them exceeds the limit.
_LOCK = Statement(
    "saved_search_lock", "SELECT pg_advisory_xact_lock(723987013, ($1 % 2147483647)::integer)", ("bigint",)
)
_COUNT = Statement("saved_search_count", "SELECT count(*) FROM saved_searches WHERE user_id = $1", ("bigint",))
_ADD = Statement(
    "saved_search_add",
    f"""INSERT INTO saved_searches AS q (user_id, name, query, words, words_at, {_NAMES})
        VALUES ($1, $2, $3, $4::tsquery, now(), {", ".join(f"${number}" for number in range(5, 5 + len(_NARROWING)))})
        RETURNING {_COLUMNS}""",
    ("bigint", "text", "jsonb", "text", *_NARROWING.values()),
)
_RENAME = Statement(
    "saved_search_rename",
    "UPDATE saved_searches SET name = $3 WHERE id = $2 AND user_id = $1",
    ("bigint", "bigint", "text"),
)
_ASK = Statement(
    "saved_search_ask",
    f"""UPDATE saved_searches SET (query, words, words_at, {_NAMES}) =
            ($3, $4::tsquery, now(), {", ".join(f"${number}" for number in range(5, 5 + len(_NARROWING)))})
        WHERE id = $2 AND user_id = $1""",
    ("bigint", "bigint", "jsonb", "text", *_NARROWING.values()),
)
_READ = Statement(
    "saved_search_read",
    f"SELECT {_COLUMNS} FROM saved_searches q WHERE q.id = $2 AND q.user_id = $1",
    ("bigint", "bigint"),
)
_FIND = Statement(
    "saved_search_find",
    f"""SELECT {_COLUMNS} FROM saved_searches q WHERE q.user_id = $1 AND q.id < $2 ORDER BY q.id DESC LIMIT $3""",
    ("bigint", "bigint", "integer"),
)
_DELETE = Statement(
    "saved_search_delete", "DELETE FROM saved_searches WHERE id = $2 AND user_id = $1", ("bigint", "bigint")
)
# The vocabulary is younger than the words that were corrected and completed by it.
_AGED = Statement(
    "saved_search_aged",
    """SELECT s.id, s.query::text, now() FROM saved_searches s
       WHERE s.words IS NOT NULL AND s.words_at <= (SELECT done_at FROM chores WHERE name = 'vocabulary')
       ORDER BY s.words_at LIMIT $1""",
    ("integer",),
)
_SET_WORDS = Statement(
    "saved_search_set_words",
    """UPDATE saved_searches SET words = $2::tsquery, words_at = $3
       WHERE id = $1 AND query = $4 AND words_at < $3""",
    ("bigint", "text", "timestamptz", "jsonb"),
)

Words = Callable[[ListingFilter], Awaitable[str | None]]
"""Returns the part of a filter that the search index answers (`ListingSearch.query`)."""


class SavedSearchRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, words: Words) -> None:
        self._database = database
        self._words = words

    async def words(self, filter: ListingFilter) -> str | None:
        """Returns the part of the filter that the search index answers, for `add`."""
        return await self._words(filter)

    async def add(
        self, user_id: int, name: str, query: Mapping[str, str], filter: ListingFilter, words: str | None
    ) -> SavedSearch:
        """Save a search; `filter` is what the query means. Raises TooManySearches or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, user_id, Action.SEARCH_CHANGE, owner_id=user_id)
            await transaction.execute(_LOCK, user_id)
            count = await transaction.fetch_one(_COUNT, user_id)
            if count is None or count[0] >= MAX_SEARCHES:
                raise TooManySearches
            row = await transaction.fetch_one(_ADD, user_id, name, _json(query), words, *_narrowing(filter))
            assert row is not None
            return SavedSearch(*row)

    async def change(
        self, user_id: int, search_id: int, *, name: str | None, asked: tuple[Mapping[str, str], ListingFilter] | None
    ) -> SavedSearch:
        """Rename the search, or let it ask something else. Raises SearchNotFound or NoLongerAllowed."""
        words = None if asked is None else await self._words(asked[1])
        async with self._database.transaction() as transaction:
            await require(transaction, user_id, Action.SEARCH_CHANGE, owner_id=user_id)
            if name is not None:
                await transaction.execute(_RENAME, user_id, search_id, name)
            if asked is not None:
                query, filter = asked
                await transaction.execute(_ASK, user_id, search_id, _json(query), words, *_narrowing(filter))
            row = await transaction.fetch_one(_READ, user_id, search_id)
            if row is None:
                raise SearchNotFound
            return SavedSearch(*row)

    async def find(self, user_id: int, *, before_id: int, limit: int) -> list[SavedSearch]:
        """Returns the person's searches with ids below `before_id`, newest first."""
        return [SavedSearch(*row) for row in await self._database.fetch(_FIND, user_id, before_id, limit)]

    async def delete(self, user_id: int, search_id: int) -> None:
        """Delete the search with its alerts. Raises SearchNotFound."""
        if not await self._database.execute(_DELETE, user_id, search_id):
            raise SearchNotFound

    async def renew_words(self, filter_of: Callable[[str], ListingFilter | None], limit: int) -> int:
        """Make the words of at most `limit` searches anew, if the vocabulary has changed since. Returns their number.

        `filter_of` returns what a query means, None if it means nothing any more.
        """
        aged = await self._database.fetch(_AGED, limit)
        for search_id, query, now in aged:
            filter = filter_of(query)
            words = "" if filter is None else await self._words(filter)
            await self._database.execute(_SET_WORDS, search_id, words, now, query)
        return len(aged)


def _json(query: Mapping[str, str]) -> str:
    return msgspec.json.encode(query).decode()


def _narrowing(filter: ListingFilter) -> list[Any]:
    values = {name: getattr(filter, name) for name in _NARROWING}
    return list({**values, "status": None if filter.status is WantedStatus.ANY else filter.status.value}.values())
