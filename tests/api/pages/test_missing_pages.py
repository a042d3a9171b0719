"""Addresses that lead nowhere: a page for people, a problem for programs, and nothing that tells what there was."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from api.handlers.documentation import DOCUMENTATION
from api.handlers.feeds import FEEDS
from api.handlers.web import PAGES
from tests.api.conftest import SHARES_THE_API, Api, MakeApi, Person
from tests.api.pages.reader import BROWSER, look
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


@pytest.fixture
async def ann(api: Api) -> Person:
    return await api.register("Ann")


@pytest.fixture
async def unseen(rows: Rows, ann: Person) -> AsyncIterator[dict[str, int]]:
    """Listings of every kind that visitors may not see, and one that there is not."""
    secret: dict[str, Any] = {"title": "Secret"}
    banned = await _banned(rows)
    deleted = await rows.category()
    yield {
        "private": await rows.listing(ann.id, visibility="private", **secret),
        "hidden": await rows.listing(ann.id, hidden_at="now()", **secret),
        "ended": await rows.listing(ann.id, expires_at="now()", **secret),
        "trashed": await rows.listing(ann.id, trashed_at="now()", **secret),
        "in a private category": await rows.listing(ann.id, await rows.category("private"), **secret),
        "in a deleted category": await rows.listing(ann.id, deleted, **secret),
        "of a banned seller": await rows.listing(banned, **secret),
        "missing": 999_999,
        "too great": 2**63,
    }
    await rows.execute("UPDATE categories SET deleted_at = NULL WHERE id = %s", deleted)


async def _banned(rows: Rows) -> int:
    [[user_id]] = await rows.fetch(
        "INSERT INTO users (email, name, password_hash, banned_at, ban_reason)"
        " VALUES ('banned@example.com', 'Bad', 'x', now(), 'x') RETURNING id"
    )
    return int(user_id)


async def test_all_listings_that_visitors_may_not_see_are_answered_with_the_same_bytes(
    api: Api, rows: Rows, unseen: dict[str, int]
) -> None:
    deleted = unseen["in a deleted category"]
    await rows.execute(
        "UPDATE categories SET deleted_at = now() WHERE id = (SELECT category_id FROM listings WHERE id = %s)", deleted
    )
    texts, headers = set(), set()
    for listing_id in unseen.values():
        seen = await look(api, f"/listings/{listing_id}", 404)
        texts.add(seen.text)
        kept = {
            name: value for name, value in seen.response.headers.items() if name.lower() not in ("x-request-id", "date")
        }
        headers.add(repr(sorted(kept.items())))
    assert len(texts) == len(headers) == 1
    assert "Secret" not in seen.text
    assert seen.words("h1") == "This listing is not available"
    assert seen.attribute("form[role=search]", "action") == "/"
    assert seen.meta("robots") == "noindex"
    assert seen.data("script#answers") == {"/api/listings/{id}": None, "/api/listings/{id}/replies": None}


async def test_the_api_answers_the_same_listings_with_problems(api: Api, unseen: dict[str, int]) -> None:
    for listing_id in (unseen["hidden"], unseen["missing"]):
        answer = await api.call("GET", f"/api/listings/{listing_id}", 404, headers=BROWSER)
        assert answer["type"] == "/problems/not-found"


@SHARES_THE_API
@pytest.mark.parametrize(
    "path", ["/nowhere", "/listings/abc", "/listings/0", "/listings/007", "/listings/1/x", "/messages/abc",
             "/listings/x/edit", "/%00", "/%ff", "/a%2Fb", "/" + "x" * 4000, "/api", "/<script>"],
)  # fmt: skip
async def test_an_unknown_address_is_a_page_for_a_browser_and_a_problem_for_a_program(
    shared_api: Api, path: str
) -> None:
    is_page = path.startswith(("/listings/", "/messages/")) and path != "/listings/1/x"
    if path != "/api":
        seen = await look(shared_api, path, 404)
        assert seen.all("h1")
        assert seen.attribute("form[role=search]", "action") == "/"
        assert "<script>" not in seen.text
    if not is_page:
        await shared_api.call("GET", path, 404)
        await shared_api.call("POST", path, 404, headers=BROWSER)


@SHARES_THE_API
@pytest.mark.parametrize("path", ["/api/nowhere", "/api/listings/0", "/web/1/x.js", "/health/x", "/api/pictures/1"])
async def test_below_the_api_every_browser_gets_problems(shared_api: Api, path: str) -> None:
    await shared_api.call("GET", path, 404, headers=BROWSER)


@SHARES_THE_API
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("/listings/12/", "/listings/12"),
        ("/Listings/12", "/listings/12"),
        ("/LISTINGS/12//?a=B%20c&a=2", "/listings/12?a=B%20c&a=2"),
        ("/listings/NEW", "/listings/new"),
        ("/listings/12/Edit/", "/listings/12/edit"),
        ("/Login/?next=/Account", "/login?next=/Account"),
        ("//", "/"),
        ("//login", "/login"),
        ("//login/", "/login"),
        ("/moderation//trash", "/moderation/trash"),
        ("/Messages/7/", "/messages/7"),
        ("/Robots.TXT", "/robots.txt"),
        ("/sitemap.xml/", "/sitemap.xml"),
        ("/Feed.atom?make=VW", "/feed.atom?make=VW"),
        ("/%4Cistings/1", "/listings/1"),
        ("/api/docs/", "/api/docs"),
        ("/API//Docs", "/api/docs"),
    ],
)
async def test_slashes_and_capitals_lead_to_the_right_address(shared_api: Api, wrong: str, right: str) -> None:
    for headers in (BROWSER, {}):
        address = shared_api.client.make_url("/").with_path("/")
        url = URL(str(address).rstrip("/") + wrong, encoded=True)
        async with shared_api.client.session.get(url, headers=headers, allow_redirects=False) as response:
            assert response.status == 301, await response.text()
            assert response.headers["Location"] == right


@SHARES_THE_API
async def test_every_address_of_the_page_and_of_its_feeds_is_found_with_slashes_and_capitals(shared_api: Api) -> None:
    base, failed = str(shared_api.client.make_url("/")).rstrip("/"), []
    for path in (*PAGES, *FEEDS, DOCUMENTATION):
        for number in ("7", "0") if path in FEEDS else ("7",):
            right = re.sub(r"{\w+}", number, path)
            for wrong in {f"{right}/", right.upper(), f"/{right.title()}//", f"{right.upper()}/?next=/A"} - {right}:
                address = URL(base + wrong, encoded=True)
                async with shared_api.client.session.get(address, allow_redirects=False) as response:
                    query = wrong.partition("?")[2]
                    expected = f"{right}?{query}" if query else right
                    if (response.status, response.headers.get("Location")) != (301, expected):
                        failed.append(f"{wrong}: {response.status} {response.headers.get('Location')}")
    assert not failed


@SHARES_THE_API
@pytest.mark.parametrize("behind", [".", ",", ")", "%22", "...", "%E2%80%9D", "%20", "%C2%A0", "%E2%80%8B", "/.", ")."])
async def test_what_stood_behind_an_address_in_a_text_is_no_part_of_it(shared_api: Api, behind: str) -> None:
    for right in ("/listings/7", "/login", "/listings/new"):
        url = URL(f"{str(shared_api.client.make_url('/')).rstrip('/')}{right}{behind}?a=b.", encoded=True)
        async with shared_api.client.session.get(url, headers=BROWSER, allow_redirects=False) as response:
            assert (response.status, response.headers.get("Location")) == (301, f"{right}?a=b.")


@SHARES_THE_API
@pytest.mark.parametrize("wrong", ["//evil.example/", "//evil.example/listings/1", "/\\evil.example", "/Nowhere/"])
async def test_no_address_leads_to_another_site(shared_api: Api, wrong: str) -> None:
    url = URL(str(shared_api.client.make_url("/")).rstrip("/") + wrong, encoded=True)
    async with shared_api.client.session.get(url, headers=BROWSER, allow_redirects=False) as response:
        assert response.status == 404


async def test_what_cannot_be_shown_right_now_is_a_page_too(make_api: MakeApi) -> None:
    api = await make_api(database_url="postgresql://127.0.0.1:1/nothing")
    for path in ("/", "/listings/1", "/?q=golf"):
        seen = await look(api, path, 503)
        assert seen.words("h1") == "Not available right now"
        assert seen.all('script[type="module"]'), "the page's modules try again"
    await look(api, "/login")
    await api.call("GET", "/api/listings", 503, headers=BROWSER)
