"""No search, and no counting of facets, reads the whole table of listings.

EXPLAIN counts the rows that each search reads: for every filter alone and for every pair of filters, with values that
few listings have and with values that half of the listings have. Half of all listings have ended.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.cars import Fuel
from shared.domain.geography import Point
from shared.domain.ids import MAX_ID
from shared.domain.listings import ListingFilter, Sort, Status, WantedStatus
from shared.postgres import Database, Statement
from shared.repositories import listing_facets, listing_pages, listing_relevance, listing_ways
from shared.repositories.listing_facets import ListingFacets
from shared.repositories.listing_search import ListingSearch
from shared.repositories.listing_ways import ORDERS, Position, Search
from shared.repositories.listings import front_page_statement
from shared.repositories.reanalysis import reanalyse_some
from shared.repositories.seed import SeedRepository
from shared.repositories.visibility import Viewer
from shared.settings import Settings
from tests.support.roles import as_owner
from tests.support.servers import Servers, run

LISTINGS = 20_000
FEW = 0.001
LIMIT = 21
BOUNDS = {"FIRST_WALK": 50, "MATCHES": 200, "SECOND_WALK": 1000}
RANKED = 200
"""Limits of the search, made smaller because this table is smaller than a real one."""
MOST = 3_000
"""The most rows of listings that one request may read: the walks, the matches, and a little; a seventh of the table."""

MOST_COUNTED, MOST_BLOCKS = 1_500, 2_000
"""The most rows and blocks that one way to count facets may read, with the limits that the test sets."""

VISITOR, MODERATOR = Viewer(None, False, False), Viewer(1, True, True)

# The columns are independent: one row in a thousand has the rare value, and half of the rows have the common one.
FILL = f"""
INSERT INTO categories (name) VALUES ('common'), ('rare'), ('other');
INSERT INTO places VALUES (1, 'Common', '', '', ll_to_earth(10, 10)), (2, 'Rare', '', '', ll_to_earth(20, 20)),
                          (3, 'Other', '', '', ll_to_earth(30, 30));
SELECT setseed(0.25);
INSERT INTO listings (seller_id, category_id, title, content, status, make, model, year, mileage, price, hidden_at,
                      fuel, doors, power_kw, engine_cc, owners, place_id, expires_at)
SELECT CASE WHEN s < {FEW} THEN 2 WHEN s < 0.5 THEN 1 ELSE 3 END, CASE WHEN c < {FEW} THEN 2 WHEN c < 0.5 THEN 1 ELSE 3 END,
       CASE WHEN q < {FEW} THEN 'gazelle' WHEN q < 0.5 THEN 'wagon' ELSE 'coupe' END, 'It drives.',
       CASE WHEN t < {FEW} THEN %s ELSE %s END,
       CASE WHEN m < {FEW} THEN 'Rare' WHEN m < 0.5 THEN 'Common' ELSE 'Other' END,
       CASE WHEN o < {FEW} THEN 'Rare' WHEN o < 0.5 THEN 'Common' ELSE 'Other' END,
       1900 + (y * 100)::int, (k * 1000000)::int, (p * 1000000)::int, CASE WHEN h < %s THEN now() END,
       CASE WHEN f < {FEW} THEN 'lpg' WHEN f < 0.5 THEN 'diesel' ELSE 'gasoline' END,
       CASE WHEN d < {FEW} THEN 1 WHEN d < 0.5 THEN 4 ELSE 5 END,
       CASE WHEN w < {FEW} THEN 900 WHEN w < 0.5 THEN 130 ELSE 90 END,
       CASE WHEN e < {FEW} THEN 700 WHEN e < 0.5 THEN 1500 ELSE 2000 END,
       CASE WHEN n < {FEW} THEN 0 WHEN n < 0.5 THEN 1 ELSE 2 END,
       CASE WHEN z < {FEW} THEN 2 WHEN z < 0.5 THEN 1 WHEN z < 0.99 THEN 3 END,
       now() + CASE WHEN x < 0.5 THEN interval '-1 day' ELSE interval '60 days' END
FROM (SELECT random() AS s, random() AS c, random() AS q, random() AS t, random() AS m, random() AS o, random() AS y,
             random() AS k, random() AS p, random() AS h, random() AS f, random() AS d, random() AS w, random() AS e,
             random() AS n, random() AS z, random() AS x FROM generate_series(1, {LISTINGS})) AS drawn;
UPDATE listings SET year = 1890 WHERE id %% 1000 = 3;
UPDATE listings SET year = 2020 WHERE id %% 1000 = 4"""  # noqa: E501

# Each place is a little further away than the one before, and has one listing.
MANY_PLACES = """
INSERT INTO categories (name) VALUES ('cars');
INSERT INTO places SELECT n, 'x', '', '', ll_to_earth(n / 10.0, n / 10.0) FROM generate_series(1, 100) AS n;
INSERT INTO listings (seller_id, category_id, title, content, place_id)
SELECT 1, 1, 'A car', 'It drives.', n FROM generate_series(1, 100) AS n"""

RARE: dict[str, Any] = {
    "q": "gazelle", "category_id": 2, "seller_id": 2, "make": "Rare", "model": "Rare", "year_min": 2010,
    "year_max": 1895, "price_min": 999_000, "price_max": 1_000, "mileage_max": 1_000,
    "fuel": (Fuel.LPG,), "doors": (1,), "power_kw_min": 600, "engine_cc_max": 750, "owners_max": 0,
    "near": Point(20, 20),
}  # fmt: skip
COMMON: dict[str, Any] = {
    "q": "wagon", "category_id": 1, "seller_id": 1, "make": "Common", "model": "Common", "year_min": 1950,
    "year_max": 1950, "price_min": 500_000, "price_max": 500_000, "mileage_max": 500_000,
    "fuel": (Fuel.DIESEL,), "doors": (4,), "power_kw_min": 110, "engine_cc_max": 1_700, "owners_max": 1,
    "near": Point(10, 10),
}  # fmt: skip
VALUES = [*RARE.items(), *COMMON.items(), *(("status", wanted) for wanted in WantedStatus)]


@pytest.fixture(scope="module", params=[Status.SOLD, Status.AVAILABLE], ids=lambda status: f"few are {status}")
def few(request: pytest.FixtureRequest) -> Status:
    return Status(request.param)


@pytest.fixture(scope="module")
def filled_url(servers: Servers, few: Status) -> Iterator[str]:
    with servers.database() as url:
        run(fill(url, few))
        yield url


async def fill(url: str, few: Status) -> None:
    owner = Database(Settings(database_url=as_owner(url), database_timeout_seconds=60.0))
    await SeedRepository(owner).users(10, "no hash")
    many = Status.SOLD if few is Status.AVAILABLE else Status.AVAILABLE
    await owner.execute(Statement("", FILL), few.value, many.value, FEW)
    done = False
    while not done:
        async with owner.transaction() as transaction:
            done = await reanalyse_some(transaction, rest_seconds=0)
    await owner.execute(Statement("", "VACUUM (ANALYZE) listings, categories, users"))
    await owner.close()


@pytest.fixture
async def filled(filled_url: str) -> AsyncIterator[Database]:
    database = Database(Settings(database_url=filled_url))
    yield database
    await database.close()


def rows_read(plan: dict[str, Any]) -> float:
    """The number of rows of `listings` that the plan read, from the table or from an index."""
    rows = sum(rows_read(below) for below in plan.get("Plans", ()))
    if plan.get("Relation Name") == "listings":
        dropped = sum(value for name, value in plan.items() if name.startswith("Rows Removed by"))
        rows += (plan["Actual Rows"] + dropped) * plan["Actual Loops"]
    return rows


async def plan_of(database: Database, search: Search) -> dict[str, Any]:
    sql = f"EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) {search.statement.sql}"
    explained = Statement("", sql, first=search.statement.first)
    [(plans,)] = await database.fetch(explained, *search.parameters)
    found: dict[str, Any] = plans[0]["Plan"]
    return found


async def cost(database: Database, search: Search) -> float:
    return rows_read(await plan_of(database, search))


def limit_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in BOUNDS.items():
        monkeypatch.setattr(listing_pages, name, bound)
    monkeypatch.setattr(listing_relevance, "RANKED", RANKED)


def search_for(sort: Sort, **values: Any) -> ListingFilter:
    """A filter by these values, with what its conditions and the order need besides."""
    if "near" in values:
        return ListingFilter(**values, within=1000.0)
    return ListingFilter(**values, near=Point(15, 15) if sort is Sort.NEAREST else None)


def selections() -> list[tuple[ListingFilter, Sort]]:
    sorts = itertools.cycle(ORDERS)
    found = [(search_for(sort, **{name: value}), sort) for name, value in VALUES for sort in ORDERS]
    for (one, first), (other, second) in itertools.combinations(VALUES, 2):
        if one != other:
            pair = {one: first, other: second}
            found += [(search_for(sort, **pair), sort) for sort in (Sort.NEWEST, next(sorts))]
    return found + [(asked, Sort.RELEVANCE) for asked, sort in found if sort is Sort.NEWEST and asked.q is not None]


@pytest.mark.slow
async def test_no_filter_and_no_pair_of_filters_reads_the_whole_table(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_work(monkeypatch)
    searches: list[Search] = []
    finding = ListingSearch(filled, searches.append)
    walked = {}
    for filter, sort in selections():
        for viewer, asked in ((VISITOR, filter), (MODERATOR, replace(filter, hidden=True))):
            if viewer is MODERATOR and sort not in (Sort.NEWEST, Sort.RELEVANCE):
                continue
            searches.clear()
            await finding.find(asked, sort, viewer, after=None, limit=LIMIT)
            costs = [await cost(filled, search) for search in searches]
            if sum(costs) > MOST:
                walked[asked, sort] = costs
    assert not walked, f"{len(walked)}: " + "\n".join(f"{asked}: {costs}" for asked, costs in [*walked.items()][:10])


LAST = {
    Sort.NEWEST: Position(15, 15),
    Sort.CHEAPEST: Position(999_500, 0),
    Sort.DEAREST: Position(500, 0),
    Sort.LEAST_DRIVEN: Position(999_500, 0),
    Sort.YOUNGEST: Position(1890, LISTINGS),
    Sort.NEAREST: Position(20_000_000, 0),
}
"""Positions after which only a few listings come."""


async def test_no_last_page_reads_the_whole_table(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_work(monkeypatch)
    searches: list[Search] = []
    finding = ListingSearch(filled, searches.append)
    walked = {}
    for name, value in VALUES:
        for sort, after in LAST.items():
            searches.clear()
            asked = search_for(sort, **{name: value})
            found = await finding.find(asked, sort, VISITOR, after=after, limit=LIMIT)
            assert len(found.positions) < LIMIT
            costs = [await cost(filled, search) for search in searches]
            if sum(costs) > MOST:
                walked[asked, sort] = costs
    assert not walked, f"{len(walked)}: " + "\n".join(f"{asked}: {costs}" for asked, costs in [*walked.items()][:10])


PAIRED = ("q", "category_id", "make", "fuel", "price_max", "near")
"""Filters of each kind of index; their pairs are counted as well."""


async def test_facets_read_a_bounded_number_of_rows_and_blocks_and_never_the_whole_table(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, matches = 1000, 500
    monkeypatch.setattr(listing_facets, "MOST_NEWEST", newest)
    monkeypatch.setattr(listing_facets, "MOST_MATCHES", matches)
    searches: list[Search] = []

    def remembered(sql: str, parameters: Sequence[Any]) -> Search:
        searches.append(listing_ways.search(sql, parameters))
        return searches[-1]

    monkeypatch.setattr(listing_facets, "search", remembered)
    counting = ListingFacets(filled, ListingSearch(filled), seconds=60.0)
    asked = [{name: value} for name, value in VALUES]
    pairs = itertools.combinations([one for one in VALUES if one[0] in PAIRED], 2)
    asked += [{one: first, other: second} for (one, first), (other, second) in pairs if one != other]
    walked = {}
    for values in [{}, *asked]:
        searches.clear()
        counted = await counting.count(search_for(Sort.NEWEST, **values), VISITOR)
        assert counted.total >= 0
        for search in searches:
            plan = await plan_of(filled, search)
            blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            scans = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
            scanned = [node["Relation Name"] for node in scans if node["Relation Name"] == "listings"]
            if scanned or rows_read(plan) > MOST_COUNTED or blocks > MOST_BLOCKS:
                walked[str(values)] = (scanned, rows_read(plan), blocks, search.statement.sql[-900:])
    assert not walked, f"{len(walked)}: " + "\n".join(f"{asked}: {costs}" for asked, costs in [*walked.items()][:10])


async def test_the_front_page_does_not_read_the_whole_table(filled: Database) -> None:
    sql = front_page_statement(LIMIT).sql.replace("$1", "%s").replace("$2", "%s")
    assert await cost(filled, Search(Statement("", sql), (MAX_ID, MAX_ID))) <= MOST


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in nodes(below))]


async def test_the_nearest_listings_are_found_without_reading_all_places(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_ways, "PLACES", LIMIT)
    with servers.database() as url:
        owner = Database(Settings(database_url=as_owner(url), database_timeout_seconds=60.0))
        await SeedRepository(owner).users(1, "no hash")
        await owner.execute(Statement("", MANY_PLACES))
        await owner.execute(Statement("", "VACUUM (ANALYZE) listings, places"))
        searches: list[Search] = []
        asked = ListingFilter(near=Point(0, 0))
        found = await ListingSearch(owner, searches.append).find(asked, Sort.NEAREST, VISITOR, after=None, limit=LIMIT)
        [search] = searches
        read = nodes(await plan_of(owner, search))
        await owner.close()
    of_places = [node for node in read if node.get("Relation Name") == "places"]
    assert [position.id for position in found.positions] == list(range(1, LIMIT + 1))
    assert "Seq Scan" not in {node["Node Type"] for node in read}
    assert 0 < sum(node["Actual Rows"] * node["Actual Loops"] for node in of_places) <= LIMIT + 1
