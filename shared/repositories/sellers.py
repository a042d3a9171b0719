"""SQL that collects the facts about a seller. Everything is found by an index, and every part is bounded.

How a seller answers is counted by people: somebody's first message, which names one of the seller's listings, is
answered if the seller writes back within 24 hours. Whoever wrote less than a day ago and has no answer yet does not
count.
"""

from __future__ import annotations

from shared.domain.sellers import ANSWER_DAYS, MOST_ASKERS, MOST_COUNTED, Seller
from shared.domain.users import UserNotFound
from shared.postgres import Database, Statement
from shared.repositories.visibility import FOR_ANYONE

_MOST_READ = 1000
"""The latest messages among which the people are looked for."""

_SELLER = Statement(
    "seller",
    f"""WITH people AS MATERIALIZED (
            SELECT from_id, max(id) AS newest_id FROM (
                SELECT m.from_id, m.id FROM messages m WHERE m.to_id = $1 AND m.from_id <> $1
                AND m.held_at IS NULL ORDER BY m.id DESC LIMIT {_MOST_READ}
            ) AS latest GROUP BY from_id ORDER BY newest_id DESC LIMIT {MOST_ASKERS}
        ), firsts AS MATERIALIZED (
            SELECT p.from_id, first.id, first.inserted_at FROM people p CROSS JOIN LATERAL (
                SELECT m.id, m.inserted_at, m.listing_id FROM messages m
                WHERE m.to_id = $1 AND m.from_id = p.from_id AND m.held_at IS NULL ORDER BY m.id LIMIT 1
            ) AS first
            WHERE first.inserted_at > now() - interval '{ANSWER_DAYS} days'
              AND EXISTS (SELECT FROM listings l WHERE l.id = first.listing_id AND l.seller_id = $1)
              AND NOT EXISTS (SELECT FROM messages mine
                              WHERE mine.from_id = $1 AND mine.to_id = p.from_id AND mine.id < first.id)
        ), judged AS (
            SELECT f.inserted_at, coalesce((
                SELECT answer.inserted_at <= f.inserted_at + interval '1 day' FROM messages answer
                WHERE answer.from_id = $1 AND answer.to_id = f.from_id AND answer.id > f.id ORDER BY answer.id LIMIT 1
            ), false) AS is_answered
            FROM firsts f
        )
        SELECT u.id, u.name, to_char(u.created_at AT TIME ZONE 'UTC', 'YYYY-MM'), u.confirmed_at IS NOT NULL,
               (SELECT count(*) FROM (
                    SELECT FROM listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
                    WHERE l.seller_id = u.id AND {FOR_ANYONE} LIMIT {MOST_COUNTED}) AS counted),
               (SELECT count(*) FROM judged WHERE is_answered OR inserted_at < now() - interval '1 day'),
               (SELECT count(*) FROM judged WHERE is_answered)
        FROM users u WHERE u.id = $1 AND u.deleted_at IS NULL""",
    ("bigint",),
)


class SellerRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user_id: int) -> Seller:
        """Returns the facts about a user. Raises UserNotFound."""
        row = await self._database.fetch_one(_SELLER, user_id)
        if row is None:
            raise UserNotFound
        return Seller(*row)
