"""SQL that makes demo listings in the database; a million take minutes.

The result is deterministic: the same numbers give the same cars. Each choice has its own multiplier without a common
factor with the length of its list, so that all combinations occur. Greater ids are newer listings.
"""

from __future__ import annotations

from shared.domain.analysis import VERSION
from shared.domain.indexed import INDEXED, indexed
from shared.places import find_place
from shared.postgres import Database, Statement
from shared.repositories.places import PlaceRepository
from shared.repositories.suggestions import collect_suggestions
from shared.repositories.vocabulary import rebuild_vocabulary

_BATCH = 5_000

_CATEGORIES = Statement(
    "",
    """INSERT INTO categories (name, visibility) VALUES ('Sedans', 'public'), ('SUVs', 'public'),
           ('Trucks', 'public'), ('Sports cars', 'public'), ('Classics', 'public'), ('Dealers only', 'private')
       ON CONFLICT DO NOTHING""",
)
_HAS_USERS = Statement("", "SELECT EXISTS (SELECT FROM users WHERE deleted_at IS NULL)")

_CARS = (
    ("Toyota", ("Camry", "Corolla", "RAV4", "Tacoma", "Prius", "Highlander", "Land Cruiser")),
    ("Honda", ("Civic", "Accord", "CR-V", "Pilot", "Odyssey", "Fit")),
    ("Ford", ("F-150", "Mustang", "Escape", "Explorer", "Focus", "Ranger")),
    ("Chevrolet", ("Silverado", "Malibu", "Corvette", "Tahoe", "Equinox")),
    ("Nissan", ("Altima", "Sentra", "Rogue", "Leaf", "Frontier")),
    ("BMW", ("3 Series", "5 Series", "X5", "M3", "i3")),
    ("Mercedes-Benz", ("C-Class", "E-Class", "Sprinter", "GLC")),
    ("Volkswagen", ("Golf", "Passat", "Jetta", "Tiguan", "Beetle")),
    ("Audi", ("A3", "A4", "A6", "Q5", "TT")),
    ("Hyundai", ("Elantra", "Sonata", "Tucson", "Santa Fe", "Ioniq")),
    ("Kia", ("Sportage", "Sorento", "Soul", "Optima")),
    ("Subaru", ("Outback", "Forester", "Impreza", "WRX")),
    ("Mazda", ("MX-5 Miata", "Mazda3", "CX-5", "RX-7")),
    ("Jeep", ("Wrangler", "Grand Cherokee", "Compass")),
    ("Tesla", ("Model S", "Model 3", "Model X", "Model Y")),
    ("Volvo", ("V70", "XC60", "XC90", "240")),
    ("Porsche", ("911", "Boxster", "Cayenne", "Macan")),
    ("Dodge", ("Ram 1500", "Charger", "Challenger")),
    ("Mitsubishi", ("Outlander", "Lancer", "Pajero")),
    ("Peugeot", ("206", "308", "508")),
)
_MODELS_OF_BODY = {
    "sedan": (
        "Camry", "Corolla", "Civic", "Accord", "Malibu", "Altima", "Sentra", "3 Series", "5 Series", "C-Class",
        "E-Class", "Jetta", "A4", "Elantra", "Sonata", "Optima", "WRX", "Model S", "Model 3", "Charger", "Lancer",
        "508",
    ),
    "suv": (
        "RAV4", "Highlander", "Land Cruiser", "CR-V", "Pilot", "Escape", "Explorer", "Tahoe", "Equinox", "Rogue",
        "X5", "GLC", "Tiguan", "Q5", "Tucson", "Santa Fe", "Sportage", "Sorento", "Forester", "CX-5", "Wrangler",
        "Grand Cherokee", "Compass", "Model X", "Model Y", "XC60", "XC90", "Cayenne", "Macan", "Outlander", "Pajero",
    ),
    "pickup": ("Tacoma", "F-150", "Ranger", "Silverado", "Frontier", "Ram 1500"),
    "hatchback": (
        "Prius", "Fit", "Focus", "Leaf", "i3", "Golf", "A3", "Ioniq", "Soul", "Impreza", "Mazda3", "206", "308",
    ),
    "minivan": (
        "Odyssey",
    ),
    "coupe": ("Mustang", "Corvette", "M3", "Beetle", "TT", "RX-7", "911", "Challenger"),
    "van": (
        "Sprinter",
    ),
    "wagon": ("Passat", "A6", "Outback", "V70", "240"),
    "convertible": ("MX-5 Miata", "Boxster"),
}  # fmt: skip
_BODY = {model: body for body, models in _MODELS_OF_BODY.items() for model in models}
_ELECTRIC = ("Leaf", "i3", "Model S", "Model 3", "Model X", "Model Y")
_COLOURS = ("white", "black", "silver", "grey", "red", "blue", "green", "beige", "yellow", "orange", "brown")
_TRIMS = ("", "Sport", "Limited", "Touring", "LX", "Premium", "Base", "Turbo", "Hybrid", "Automatic", "Diesel", "4x4")
_WORDS = (
    "one owner", "full service history", "no accidents", "new tyres", "leather seats", "heated seats", "sunroof",
    "navigation", "backup camera", "tow hitch", "manual transmission", "low mileage", "clean title", "garage kept",
    "new battery", "two keys", "cruise control", "roof rack", "small dent in the door", "some rust", "new brakes",
    "winter wheels included", "non smoker", "needs a clutch", "freshly washed",
)  # fmt: skip
_PLACES = (
    "Austin, TX", "Boston, MA", "Chicago, IL", "Denver, CO", "Portland, OR", "Seattle, WA", "Miami, FL", "Phoenix, AZ",
    "Scranton, PA", "San José, CA", "Nashville, TN", "Omaha, NE", "Detroit, MI",
)  # fmt: skip

# One listing in 10 is private, one in 12 sold, one in 200 hidden, one in 40 has no price, one in 30 no mileage.
_DESCRIBED = """WITH known AS MATERIALIZED (
           SELECT %s::text[] AS makes, %s::text[] AS models, %s::text[] AS bodies, %s::text[] AS electric,
                  %s::text[] AS colours, %s::text[] AS trims, %s::text[] AS words,
                  %s::text[] AS places, %s::integer[] AS place_ids,
                  (SELECT array_agg(id ORDER BY id) FROM categories WHERE deleted_at IS NULL) AS categories,
                  (SELECT jsonb_object_agg(name, id) FROM categories WHERE deleted_at IS NULL) AS category_of,
                  (SELECT array_agg(id) FROM (SELECT id FROM users WHERE deleted_at IS NULL AND banned_at IS NULL
                                              ORDER BY id LIMIT 10000) AS first) AS sellers
       ), numbered AS (
           SELECT n, (n * 48271 %% 2147483647) AS h, known.*,
                  (n * 7919 %% cardinality(models))::int + 1 AS car,
                  1990 + sqrt(n * 7907 %% 1296)::int AS year
           FROM known, generate_series(%s::bigint, %s::bigint) AS n
       ), cars AS (
           SELECT *, extract(year FROM now())::int - year AS age,
                  colours[h / 11 %% cardinality(colours) + 1] AS colour,
                  trims[h / 13 %% cardinality(trims) + 1] AS trim,
                  models[car] = ANY (electric) AS is_electric, bodies[car] AS body, makes[car] AS make,
                  models[car] AS model, places[h / 37 %% cardinality(places) + 1] AS location,
                  -- From 0 to 99: which of the rarer values it has.
                  (h / 47 %% 100)::int AS p, (h / 53 %% 100)::int AS q, (h / 59 %% 100)::int AS r
           FROM numbered
       ), described AS (
           SELECT *, rtrim(year || ' ' || make || ' ' || model || ' ' || trim) AS title,
                  'Selling my ' || colour || ' ' || make || ' ' || model || ' of ' || year || ': '
                      || words[h / 23 %% cardinality(words) + 1] || ', '
                      || words[h / 29 %% cardinality(words) + 1] || ', '
                      || words[h / 31 %% cardinality(words) + 1] || '. Come and see it in ' || location
                      || '. Offer ' || n || '.' AS content
           FROM cars
       )"""
_TEXTS = Statement("", f"{_DESCRIBED} SELECT {', '.join(INDEXED)} FROM described ORDER BY n")
_LISTINGS = Statement(
    "",
    f"""{_DESCRIBED}
       INSERT INTO listings (seller_id, category_id, title, content, visibility, status, make, model, year, mileage,
                             price, location, place_id, fuel, transmission, body, drive, colour, doors, power_kw,
                             engine_cc, owners, condition, title_status,
                             created_at, updated_at, hidden_at, hidden_by, hidden_reason, search, analysis)
       SELECT sellers[h / 17 %% cardinality(sellers) + 1],
              coalesce((category_of ->> CASE WHEN h / 19 %% 9 = 0 THEN 'Dealers only' WHEN age >= 25 THEN 'Classics'
                            WHEN body = 'pickup' THEN 'Trucks' WHEN body IN ('suv', 'minivan', 'van') THEN 'SUVs'
                            WHEN body IN ('coupe', 'convertible') THEN 'Sports cars' ELSE 'Sedans' END)::bigint,
                       categories[h / 19 %% cardinality(categories) + 1]),
              title, content,
              CASE WHEN n %% 10 = 0 THEN 'private' ELSE 'public' END,
              CASE WHEN n %% 12 = 0 THEN 'sold' ELSE 'available' END,
              make, model, year,
              CASE WHEN n %% 30 > 0 THEN (greatest(age, 1) * (4000 + h / 41 %% 16000))::int END,
              CASE WHEN n %% 40 > 0 THEN 300 + (h / 43 %% 60000) * 12 / (greatest(age, 0) + 12) END,
              location, place_ids[h / 37 %% cardinality(places) + 1],
              CASE WHEN is_electric THEN 'electric' WHEN trim IN ('Diesel', 'Hybrid') THEN lower(trim)
                   WHEN p < 78 THEN 'gasoline' WHEN p < 90 THEN 'diesel' WHEN p < 94 THEN 'flex_fuel'
                   WHEN p < 97 THEN 'plug_in_hybrid' WHEN p < 98 THEN 'lpg' WHEN p < 99 AND n %% 20 = 3 THEN 'cng' END,
              CASE WHEN is_electric OR trim = 'Automatic' OR q < 60 THEN 'automatic' WHEN q < 85 THEN 'manual'
                   WHEN q < 94 THEN 'cvt' WHEN q < 96 THEN 'semi_automatic' END,
              body,
              CASE WHEN trim = '4x4' OR body = 'pickup' AND q < 50 THEN 'four' WHEN body = 'suv' AND r < 70 THEN 'all'
                   WHEN r < 55 THEN 'front' WHEN r < 90 THEN 'rear' END,
              colour,
              CASE WHEN q %% 20 > 0 THEN
                  CASE WHEN body IN ('coupe', 'convertible') THEN 2 WHEN body IN ('sedan', 'pickup') THEN 4 ELSE 5 END
              END,
              CASE WHEN r %% 8 > 0 THEN 55 + (h / 61 %% 120)::int + CASE WHEN trim = 'Turbo' THEN 90 ELSE 0 END END,
              CASE WHEN NOT is_electric AND r %% 9 > 0 THEN 1000 + (h / 67 %% 25)::int * 100 END,
              CASE WHEN p %% 10 > 0 THEN least(1 + greatest(age, 0) / 7 + (h / 71 %% 3)::int, 20) END,
              CASE WHEN age < 1 AND p < 40 THEN 'new' WHEN p < 20 THEN 'like_new' WHEN p < 70 THEN 'good'
                   WHEN p < 88 THEN 'fair' WHEN p < 92 THEN 'needs_work' WHEN p < 93 THEN 'for_parts' END,
              CASE WHEN r < 85 THEN 'clean' WHEN r < 89 THEN 'rebuilt' WHEN r < 92 THEN 'lien'
                   WHEN r < 94 THEN 'salvage' WHEN r < 95 THEN 'missing' END,
              born, born,
              CASE WHEN n %% 200 = 7 THEN now() END, CASE WHEN n %% 200 = 7 THEN sellers[1] END,
              CASE WHEN n %% 200 = 7 THEN 'looks like spam' END, made.search::tsvector, {VERSION}
       FROM (SELECT *, row_number() OVER (ORDER BY n) AS place FROM described) AS described
            JOIN unnest(%s::text[]) WITH ORDINALITY AS made (search, place) USING (place),
            LATERAL (SELECT now() - (%s - n) * interval '47 seconds' AS born) AS birth
       ORDER BY n""",
)

# While many listings are added, more entries of the search index are collected and merged in bulk, which takes a third
# of the time. Afterwards as few as schema.sql says.
_COLLECT = Statement("", "ALTER INDEX listings_words_and_facts SET (gin_pending_list_limit = 65536)")
_COLLECT_NO_MORE = Statement("", "ALTER INDEX listings_words_and_facts SET (gin_pending_list_limit = 64)")

# Nobody is told of demo data.
_LAST = Statement("", "SELECT coalesce(max(id), 0) FROM listings")
_NO_NEWS = Statement("", "DELETE FROM listing_changes WHERE listing_id > %s AND before IS NULL")

# Update the planner's statistics and the visibility map now, or the first searches would be slow.
_VACUUM = Statement(
    "", "VACUUM (ANALYZE) listings, listing_changes, vocabulary, suggestions, categories, users", is_alone=True
)


class ListingSeedRepository:
    """Needs a database with a long timeout, and its owner's role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listings(self, count: int) -> bool:
        """Add listings for the existing users, and the categories if they are missing. Returns False without users."""
        row = await self._database.fetch_one(_HAS_USERS)
        if row != (True,):
            return False
        await self._database.execute(_CATEGORIES)
        makes = [make for make, models in _CARS for _ in models]
        models = [model for _, models in _CARS for model in models]
        bodies = [_BODY[model] for model in models]
        known = (makes, models, bodies, *map(list, (_ELECTRIC, _COLOURS, _TRIMS, _WORDS, _PLACES)))
        places = [place for place in map(find_place, _PLACES) if place is not None]
        for place in places:
            await PlaceRepository(self._database).add(place)
        place_ids = [place.id for place in places]
        [[last_before]] = await self._database.fetch(_LAST)
        await self._database.execute(_COLLECT)
        try:
            for first in range(1, count + 1, _BATCH):
                last = min(first + _BATCH - 1, count)
                texts = await self._database.fetch(_TEXTS, *known, place_ids, first, last)
                vectors = [indexed(dict(zip(INDEXED, row, strict=True))) for row in texts]
                await self._database.execute(_LISTINGS, *known, place_ids, first, last, vectors, count)
                await self._database.execute(_NO_NEWS, last_before)
        finally:
            await self._database.execute(_COLLECT_NO_MORE)
        async with self._database.transaction() as transaction:
            await rebuild_vocabulary(transaction)
            await collect_suggestions(transaction)
        await self._database.execute(_VACUUM)
        return True
