"""The journeys of a buyer and a seller, in every engine, and by the keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.end_to_end.browser.engines.chromium import ChromiumTab
from tests.end_to_end.browser.engines.firefox import find_firefox, firefox
from tests.end_to_end.browser.engines.person import Someone
from tests.end_to_end.browser.engines.tab import ENTER, Tab
from tests.end_to_end.browser.engines.webkit import missing_for_webkit, webkit
from tests.support.client import PASSWORD, Person

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    # On a busy machine, Firefox alone takes a minute.
    pytest.mark.timeout(480),
]


async def search_look_and_come_back(someone: Someone, word: str) -> None:
    await someone.go("/")
    await someone.fill("Search cars", f"{word}{ENTER}")
    await someone.is_at(f"/?q={word}")
    await someone.sees(".card h2", f"{word} number 1")
    await someone.press(f"{word} number 2")
    await someone.sees("h1", f"{word} number 2")
    await someone.tab.travel(-1)
    await someone.is_at(f"/?q={word}")
    await someone.sees(".card h2", f"{word} number 1")
    await someone.tab.travel(1)
    await someone.sees("h1", f"{word} number 2")


async def log_in(someone: Someone, person: Person) -> None:
    await someone.press("Log in")
    await someone.sees("h1", "Log in")
    await someone.fill("E-mail address", person.email)
    await someone.fill("Password", f"{PASSWORD}{ENTER}")
    await someone.sees("header.top", person.name)


async def sell_with_a_picture(someone: Someone, category: int, picture: Path) -> None:
    await someone.press("Sell a car")
    await someone.fill("Title", "A journey's Lancia")
    await someone.choose("Category", str(category))
    await someone.fill("Price", "7300")
    await someone.fill("Description", "One owner, no rust.")
    await someone.choose_file("#pictures-input", picture)
    await someone.holds("() => document.querySelector('.upload img')?.naturalWidth > 0")
    # All of it is kept in the browser.
    await someone.tab.reload()
    await someone.holds("() => document.querySelector('.upload img')?.naturalWidth > 0")
    await someone.press("Put it online")
    await someone.sees("h1", "A journey's Lancia")
    await someone.sees(".price-tag", "$7,300")
    await someone.holds("() => document.querySelector('.gallery img')?.naturalWidth > 0")


async def keep_a_draft_and_chat(someone: Someone, site: Site, person: Person, other: Person) -> None:
    call = site.rest.call
    await call("POST", "/api/messages", 201, who=other, body={"to": person.id, "message": "Is the Lancia there?"})
    await someone.go(f"/messages/{other.id}")
    await someone.sees(".message", "Is the Lancia there?")
    await someone.sees(".connection[data-state=live]")
    await someone.fill(f"Message to {other.name}", "It is,")
    await someone.tab.reload()
    await someone.sees(".composer textarea", "It is,")
    await someone.fill(f"Message to {other.name}", f"It is.{ENTER}")
    # It has an id from when it is stored on.
    await someone.sees(".message.mine[data-message]", "It is.")
    await call("POST", "/api/messages", 201, who=other, body={"to": person.id, "message": "I come at noon."})
    await someone.sees(".message", "I come at noon.")
    told = await call("GET", f"/api/conversations/{person.id}/messages", 200, who=other)
    assert "It is." in [one["message"] for one in told["data"]]


async def hear_of_a_car(someone: Someone, site: Site, seller: Person, category: int, word: str) -> None:
    await someone.go(f"/?q={word}")
    # Before the modules take over, the page is that of a visitor.
    await someone.sees(".connection[data-state=live]")
    # A visitor has a link of this name, which leads to the log-in and back.
    await someone.sees("main button", "Save this search")
    await someone.press("Save this search")
    await someone.sees("main", "You will be told of each new car like these.")
    await site.listing(seller, category, f"{word} number 3")
    await someone.press("Alerts, 1 new")
    await someone.sees("[data-alert]", f"{word} number 3")


async def all_journeys(someone: Someone, site: Site, picture: Path, word: str) -> None:
    """`word` is in no other listing."""
    person, other = await site.person("Jona"), await site.person("Ida", Role.MODERATOR)
    category = await site.category("Coupes", other)
    for number in (1, 2):
        await site.listing(other, category, f"{word} number {number}", price=1000 * number)
    await search_look_and_come_back(someone, word)
    await log_in(someone, person)
    await sell_with_a_picture(someone, category, picture)
    await keep_a_draft_and_chat(someone, site, person, other)
    await hear_of_a_car(someone, site, other, category, word)
    assert not await someone.tab.faults()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "green.jpg"
    path.write_bytes(jpeg("green")["buffer"])
    return path


async def test_every_journey_works_in_chromium_and_by_the_keyboard_alone(
    site: Site, open_page: Open, picture: Path
) -> None:
    page = await open_page("/login", reduced_motion="reduce")
    await all_journeys(Someone(ChromiumTab(page), site.apis[0].url, has_mouse=False), site, picture, "Zaporozhets")


@asynccontextmanager
async def firefox_here(directory: Path) -> AsyncIterator[Tab]:
    async with firefox(find_firefox() or "", directory) as tab:
        yield tab


# A missing browser is found before any server is started.
NO_FIREFOX = pytest.mark.skipif(find_firefox() is None, reason="no Firefox on this machine")
NO_WEBKIT = pytest.mark.skipif(bool(missing_for_webkit()), reason=f"no {missing_for_webkit()} on this machine")


@pytest.mark.parametrize(
    ("engine", "word"),
    [
        pytest.param(firefox_here, "Moskvich", id="firefox", marks=NO_FIREFOX),
        pytest.param(webkit, "Volga", id="webkit", marks=NO_WEBKIT),
    ],
)
async def test_every_journey_works_in_the_other_engines(
    site: Site,
    picture: Path,
    tmp_path: Path,
    engine: Callable[[Path], AbstractAsyncContextManager[Tab]],
    word: str,
) -> None:
    async with engine(tmp_path) as tab:
        await all_journeys(Someone(tab, site.apis[0].url), site, picture, word)
