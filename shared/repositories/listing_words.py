"""SQL that understands the words of a search: which words of the vocabulary complete them, and which may be meant."""

from __future__ import annotations

import math
from typing import Any

from shared.domain.search import Asked, KnownWord
from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable, Statement

log = log_of(__name__)

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


class WordsOfSearches:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database, correction_seconds: float) -> None:
        """Correcting the words of a search may take `correction_seconds`."""
        self._database = database
        self._limit = Statement("", f"SET LOCAL statement_timeout = {math.ceil(correction_seconds * 1000)}")

    async def completed(self, asked: Asked) -> Asked:
        """Returns the search with the words of the vocabulary that complete the typed ones."""
        words = asked.words
        return asked.knowing(_known(await self._database.fetch(_KNOWN_WORDS, words))) if words else asked

    async def corrected(self, asked: Asked, *, has_results: bool) -> Asked | None:
        """Returns the search with corrections; None if there is nothing to correct, or it takes too long."""
        near = await self._near(asked.words_to_correct())
        return asked.corrected(near, has_results=has_results)

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


def _known(rows: list[Any]) -> list[tuple[str, KnownWord]]:
    return [(row[0], KnownWord(row[1], row[2])) for row in rows]
