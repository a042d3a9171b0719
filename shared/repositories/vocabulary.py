"""SQL that rebuilds the vocabulary, from which searches complete unfinished words and correct misspelled ones.

The vocabulary has only words that every visitor can read, in titles, makes and models of at least two sellers: no word
of a listing that is hidden, private, in the trash or deleted, and no word that one account has made up. So no answer to
a search tells anything that the listings on show do not tell. The size of the vocabulary is bounded, because the more
words there are, the longer it takes to find similar ones; the words of the most sellers are kept.
"""

from __future__ import annotations

from shared.domain.analysis import TITLE
from shared.postgres import Statement, Transaction
from shared.repositories.listings import JOINED
from shared.repositories.visibility import FOR_ANYONE

LEAST_SELLERS = 2
MAX_WORDS_OF_A_LISTING = 20
"""In alphabetical order, because that is how Postgres keeps the words."""
MAX_VOCABULARY = 20_000

# A word's uses are its sellers. Only what has changed is written.
_REBUILD = Statement(
    "vocabulary_rebuild",
    f"""WITH found AS MATERIALIZED (
            SELECT one.word, least(count(DISTINCT l.seller_id), 32767) AS uses
            FROM {JOINED} CROSS JOIN LATERAL unnest(
                (ARRAY(SELECT substr(lexeme, 2) FROM unnest(tsvector_to_array(l.search)) AS lexeme
                       WHERE starts_with(lexeme, '{TITLE}') AND length(lexeme) > 2))[1:$1]
            ) AS one (word)
            WHERE {FOR_ANYONE}
            GROUP BY one.word HAVING count(DISTINCT l.seller_id) >= $2
            ORDER BY 2 DESC, 1 LIMIT $3
        ), forgotten AS (
            DELETE FROM vocabulary v WHERE NOT EXISTS (SELECT FROM found WHERE found.word COLLATE "C" = v.word)
        )
        INSERT INTO vocabulary AS known (word, uses) SELECT word, uses FROM found
        ON CONFLICT (word) DO UPDATE SET uses = excluded.uses WHERE known.uses <> excluded.uses""",
    ("integer", "bigint", "bigint"),
)


async def rebuild_vocabulary(transaction: Transaction) -> bool:
    """Replace the vocabulary by the words of the listings on show. Reads all listings, and locks none.

    Returns True: it is done in one step.
    """
    await transaction.execute(_REBUILD, MAX_WORDS_OF_A_LISTING, LEAST_SELLERS, MAX_VOCABULARY)
    return True
