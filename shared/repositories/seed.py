"""SQL that makes demo data, in the database itself: a hundred thousand users take seconds."""

from __future__ import annotations

from shared.postgres import Database, Statement

_USERS = Statement(
    "",
    """WITH added AS (
           INSERT INTO users (id, email, name, password_hash, created_at)
           SELECT id, 'user' || id || '@example.com', 'User ' || id, %s, now() - id %% 1000 * interval '1 hour'
           FROM (SELECT nextval(pg_get_serial_sequence('users', 'id')) AS id FROM generate_series(1, %s)) AS fresh
           RETURNING id
       ) SELECT min(id), max(id) FROM added""",
)
_CATEGORIES = Statement(
    "",
    """INSERT INTO categories (name, visibility) VALUES ('Sedans', 'public'), ('SUVs', 'public'),
           ('Trucks', 'public'), ('Sports cars', 'public'), ('Classics', 'public'), ('Dealers only', 'private')
       ON CONFLICT DO NOTHING""",
)
# Deterministic: the same numbers give the same cars, spread by multipliers that share no factor with the list's length.
_LISTINGS = Statement(
    "",
    """WITH cars (makes, models) AS (VALUES (
           ARRAY['Toyota', 'Toyota', 'Honda', 'Honda', 'Ford', 'Ford', 'BMW', 'Mazda', 'Subaru', 'Volkswagen', 'Tesla'],
           ARRAY['Camry', 'Corolla', 'Civic', 'Accord', 'F-150', 'Mustang', '3 Series', 'MX-5', 'Outback', 'Golf',
                 'Model 3'])
       ), sellers AS MATERIALIZED (
           SELECT array_agg(id) AS ids FROM (SELECT id FROM users WHERE deleted_at IS NULL ORDER BY id LIMIT 100000) u
       ), places AS MATERIALIZED (
           SELECT array_agg(id ORDER BY id) AS ids FROM categories
       ), numbered AS (
           SELECT n, (n * 7 %% 11)::int + 1 AS car, 1990 + (n * 13 %% 36)::int AS year
           FROM generate_series(1::bigint, %s) AS n
       )
       INSERT INTO listings (seller_id, category_id, title, content, visibility, status, make, model, year, mileage,
                             price, location, created_at, updated_at)
       SELECT sellers.ids[n * 31 %% cardinality(sellers.ids) + 1], places.ids[n * 17 %% cardinality(places.ids) + 1],
              year || ' ' || makes[car] || ' ' || models[car],
              'A well-kept ' || makes[car] || ' ' || models[car] || ' of ' || year || ', number ' || n
                  || '. Serviced on time, no accidents, two keys. Come and see it.',
              CASE WHEN n %% 10 = 0 THEN 'private' ELSE 'public' END,
              CASE WHEN n %% 12 = 0 THEN 'sold' ELSE 'available' END,
              makes[car], models[car], year, (n * 7919 %% 250000)::int, 500 + n * 104729 %% 60000,
              (ARRAY['Austin', 'Boston', 'Chicago', 'Denver', 'Portland', 'Seattle'])[n %% 6 + 1],
              now() - (n * 37 %% 600000) * interval '1 minute', now() - (n * 37 %% 600000) * interval '1 minute'
       FROM numbered, cars, sellers, places WHERE sellers.ids IS NOT NULL""",
)


class SeedRepository:
    """Give it a database with a long timeout."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def users(self, count: int, password_hash: str) -> tuple[int, int]:
        """Users with one password; the first and the last id. They are 1 to `count` on an empty database."""
        row = await self._database.fetch_one(_USERS, password_hash, count)
        assert row is not None
        return row[0], row[1]

    async def listings(self, count: int) -> int:
        """Listings of those users, in categories that are made if missing; how many: none without users."""
        await self._database.execute(_CATEGORIES)
        return await self._database.execute(_LISTINGS, count)
