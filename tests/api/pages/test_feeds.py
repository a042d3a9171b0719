"""robots.txt, the sitemaps and the Atom feeds: what programs read of the pages."""

from __future__ import annotations

import tracemalloc
import xml.etree.ElementTree as ElementTree
from datetime import datetime
from urllib.robotparser import RobotFileParser

import pytest
from yarl import URL

from shared.domain.text import is_blank
from shared.repositories import sitemap
from tests.api.conftest import Api, MakeApi, Person
from tests.api.pages.hostile import HOSTILE
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

SITE = "https://cars.example.com"
ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


@pytest.fixture
async def site(make_api: MakeApi) -> Api:
    return await make_api(site_url=SITE)


@pytest.fixture
async def ann(site: Api) -> Person:
    return await site.register("Ann")


async def read(api: Api, address: str, kind: str) -> ElementTree.Element:
    response = await api.client.get(address)
    assert response.status == 200, await response.text()
    assert response.content_type == kind
    return ElementTree.fromstring(await response.read())


async def places(api: Api, address: str) -> list[str]:
    root = await read(api, address, "application/xml")
    return [found.text or "" for found in root.iter(f"{MAP}loc")]


async def test_robots_read_what_is_the_same_for_everybody_and_nothing_else(site: Api) -> None:
    response = await site.client.get("/robots.txt")
    assert (response.status, response.content_type) == (200, "text/plain")
    robots = RobotFileParser()
    robots.parse((await response.text()).splitlines())
    assert robots.site_maps() == [f"{SITE}/sitemap.xml"]
    for path in ("/", "/?make=VW", "/listings/12", "/api/pictures/3", "/sitemaps/1.xml", "/feed.atom", "/login"):
        assert robots.can_fetch("Googlebot", SITE + path), path
    for path in ("/api/listings", "/messages", "/account", "/moderation/trash", "/admin"):
        assert not robots.can_fetch("Googlebot", SITE + path), path


async def test_the_sitemaps_list_every_car_that_everybody_may_see(site: Api, rows: Rows, ann: Person) -> None:
    category = await rows.category()
    shown = [await rows.listing(ann.id, category) for _ in range(3)]
    for hidden in ({"visibility": "private"}, {"hidden_at": "now()"}, {"trashed_at": "now()"}, {"status": "sold"}):
        await rows.listing(ann.id, category, **hidden)
    far = await rows.listing(ann.id, category)
    await rows.execute("UPDATE listings SET id = %s WHERE id = %s", 7 * sitemap.FILE_IDS, far)
    index = await places(site, "/sitemap.xml")
    assert index == [f"{SITE}/sitemaps/{number}.xml" for number in (0, 1, 7)]
    found = [place for address in index for place in await places(site, URL(address).path)]
    cars = [f"{SITE}/listings/{number}" for number in (*shown, 7 * sitemap.FILE_IDS)]
    assert found == [f"{SITE}/", f"{SITE}/?category_id={category}", *cars]
    assert await places(site, "/sitemaps/3.xml") == []
    for nonsense in ("-1", "x", "00", str(2**62), "1.0"):
        assert (await site.client.get(f"/sitemaps/{nonsense}.xml")).status == 404


async def test_a_long_sitemap_is_read_in_parts(site: Api, rows: Rows, ann: Person) -> None:
    category = await rows.category()
    await rows.execute(
        "INSERT INTO listings (seller_id, category_id, title, content) "
        "SELECT %s, %s, 'x', 'x' FROM generate_series(1, %s)",
        ann.id, category, 2 * sitemap.PART,
    )  # fmt: skip
    found = await places(site, "/sitemaps/1.xml")
    assert len(found) == len(set(found)) == 2 * sitemap.PART


async def test_every_search_has_a_feed_of_its_newest_cars(site: Api, rows: Rows, ann: Person) -> None:
    category = await rows.category()
    for number in range(3):
        await rows.listing(ann.id, category, title=f"Golf {number}", make="VW", price=1000 * number)
    await rows.listing(ann.id, category, title="Another", make="Audi")
    await rows.listing(ann.id, category, title="Secret", make="VW", visibility="private")
    feed = await read(site, "/feed.atom?make=vw&utm_source=x", "application/atom+xml")
    assert feed.findtext(f"{ATOM}id") == f"{SITE}/feed.atom?make=vw"
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [
        "Golf 2 · $2,000",
        "Golf 1 · $1,000",
        "Golf 0 · $0",
    ]
    assert entries[0].findtext(f"{ATOM}id") == f"{SITE}/listings/3"
    assert entries[0].findtext(f"{ATOM}author/{ATOM}name") == "Ann"
    assert feed.findtext(f"{ATOM}updated") == max(entry.findtext(f"{ATOM}updated") or "" for entry in entries)
    datetime.fromisoformat(feed.findtext(f"{ATOM}updated") or "")
    assert {link.attrib["rel"]: link.attrib["href"] for link in feed.findall(f"{ATOM}link")} == {
        "self": f"{SITE}/feed.atom?make=vw",
        "alternate": f"{SITE}/?make=vw",
    }
    assert len((await read(site, "/feed.atom", "application/atom+xml")).findall(f"{ATOM}entry")) == 4
    assert (await read(site, "/feed.atom?make=none", "application/atom+xml")).findall(f"{ATOM}entry") == []
    answer = await site.call("GET", "/feed.atom?year_min=abc", 422)
    assert list(answer["errors"]) == ["year_min"]


async def test_a_feed_of_hostile_text_is_well_formed(site: Api, rows: Rows, ann: Person) -> None:
    category = await rows.category()
    for text in HOSTILE[:50]:
        await rows.listing(ann.id, category, title=text[:200], content=text, make=text[:100])
    feed = await read(site, "/feed.atom", "application/atom+xml")
    assert len(feed.findall(f"{ATOM}entry")) == 50
    for text in (text for text in HOSTILE if not is_blank(text)):
        await read(site, str(URL("/feed.atom").with_query(q=text[:200])), "application/atom+xml")


async def test_unchanged_feeds_and_sitemaps_are_not_sent_again(site: Api, rows: Rows, ann: Person) -> None:
    category = await rows.category()
    listing = await rows.listing(ann.id, category)
    tags = {}
    for address in (
        "/robots.txt",
        "/sitemap.xml",
        "/sitemaps/0.xml",
        "/sitemaps/1.xml",
        "/feed.atom",
        "/feed.atom?q=car",
    ):
        response = await site.client.get(address)
        tags[address] = tag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "public, max-age=300"
        again = await site.client.get(address, headers={"If-None-Match": tag})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
        head = await site.client.head(address)
        assert (head.status, head.headers["ETag"], await head.read()) == (200, tag, b"")
    await rows.execute(
        "UPDATE listings SET title = 'car', updated_at = now() + interval '1 minute' WHERE id = %s", listing
    )
    for address in ("/sitemaps/1.xml", "/feed.atom", "/feed.atom?q=car"):
        changed = await site.client.get(address, headers={"If-None-Match": tags[address]})
        assert changed.status == 200, address
    await rows.execute("UPDATE listings SET hidden_at = now() WHERE id = %s", listing)
    assert await places(site, "/sitemaps/1.xml") == []


async def test_without_a_known_host_there_is_no_sitemap_and_no_feed(make_api: MakeApi) -> None:
    api = await make_api(allowed_origins=(SITE,))
    for address in ("/sitemap.xml", "/sitemaps/0.xml", "/feed.atom"):
        assert (await api.client.get(address, headers={"Host": "evil.example"})).status == 404
        assert (await api.client.get(address, headers={"Host": 'a"><b>'})).status == 404
    robots = await api.client.get("/robots.txt", headers={"Host": "evil.example"})
    assert "Sitemap" not in await robots.text()


async def test_a_longer_sitemap_needs_no_more_memory(site: Api, rows: Rows, ann: Person) -> None:
    category = await rows.category()
    most: list[int] = []
    for more_parts in (1, 4):
        for _ in range(more_parts):
            await rows.execute(
                "INSERT INTO listings (seller_id, category_id, title, content) "
                "SELECT %s, %s, 'x', 'x' FROM generate_series(1, %s)",
                ann.id, category, sitemap.PART,
            )  # fmt: skip
        tracemalloc.start()
        try:
            async with site.client.get("/sitemaps/1.xml") as response:
                length = sum([len(piece) async for piece in response.content.iter_any()])
            most.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert length > 700_000, "as a whole it would be seen"
    assert most[1] < most[0] + 350_000
