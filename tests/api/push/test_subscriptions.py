"""A browser subscribes for its session, and is told of nothing once the session has ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import PASSWORD, Api, MakeApi
from tests.api.push.conftest import MakeQuick
from tests.api.rows import Rows
from tests.support.push_service import PushBrowser, PushService

PATH = "/api/me/push"


async def subscriptions(rows: Rows) -> list[tuple[Any, ...]]:
    return await rows.fetch("SELECT user_id, endpoint, shows_text FROM push_subscriptions ORDER BY created_at")


async def test_a_browser_subscribes_changes_its_mind_and_ends(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann = await quick.register("Ann")
    off = await quick.call("GET", PATH, 200, who=ann)
    assert (off["is_on"], off["shows_text"]) == (False, False)
    assert off["public_key"] == push_service.public_key
    browser = push_service.browser()
    on = await quick.call("POST", PATH, 200, who=ann, json=browser.body())
    assert (on["is_on"], on["shows_text"]) == (True, False)
    await quick.call("POST", PATH, 200, who=ann, json=browser.body(shows_text=True))
    assert (await quick.call("GET", PATH, 200, who=ann))["shows_text"] is True
    assert await subscriptions(rows) == [(ann.id, browser.endpoint, True)]
    # Another device of hers has its own.
    assert (await quick.call("GET", PATH, 200, who=await quick.login(ann)))["is_on"] is False
    for _ in range(2):
        await quick.call("DELETE", PATH, 204, who=ann)
    assert await subscriptions(rows) == []


async def test_a_browser_is_told_about_the_person_who_logged_in_last(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    browser = push_service.browser()
    for person in (ann, bob):
        await quick.call("POST", PATH, 200, who=person, json=browser.body())
    assert await subscriptions(rows) == [(bob.id, browser.endpoint, False)]


async def test_the_oldest_of_too_many_browsers_gives_way(quick: Api, rows: Rows, push_service: PushService) -> None:
    ann = await quick.register("Ann")
    browsers = [push_service.browser() for _ in range(21)]
    for browser in browsers:
        await quick.call("POST", PATH, 200, who=await quick.login(ann), json=browser.body())
    assert [row[1] for row in await subscriptions(rows)] == [browser.endpoint for browser in browsers[1:]]


async def test_a_subscription_ends_with_its_session(quick: Api, rows: Rows, push_service: PushService) -> None:
    ann = await quick.register("Ann")
    first, second, third = [await quick.login(ann) for _ in range(3)]
    browsers = [push_service.browser() for _ in range(3)]
    for person, browser in zip((first, second, third), browsers, strict=True):
        await quick.call("POST", PATH, 200, who=person, json=browser.body())
    await quick.call("POST", "/api/logout", 204, who=first)
    assert [row[1] for row in await subscriptions(rows)] == [browser.endpoint for browser in browsers[1:]]
    await quick.call("DELETE", "/api/me/sessions", 204, who=second)
    assert [row[1] for row in await subscriptions(rows)] == [browsers[1].endpoint]
    password = {"current_password": PASSWORD, "password": "another horse battery"}
    await quick.call("PATCH", "/api/me", 200, who=await quick.login(ann), json=password)
    assert await subscriptions(rows) == []


async def test_a_session_that_has_ended_cannot_subscribe(quick: Api, rows: Rows, push_service: PushService) -> None:
    ann = await quick.register("Ann")
    await rows.execute("DELETE FROM sessions")
    problem = await quick.call("POST", PATH, 409, who=ann, json=push_service.browser().body())
    assert problem["type"] == "/problems/conflict"
    assert await subscriptions(rows) == []


GOOD = PushBrowser("https://push.example.com/a").body()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint": "https://127.0.0.1/a"}, "endpoint"),
        ({"endpoint": "http://push.example.com/a"}, "endpoint"),
        ({"endpoint": 3}, "endpoint"),
        ({"keys": {}}, "keys"),
        ({"keys": {**GOOD["keys"], "auth": "short"}}, "keys"),
        ({"keys": {**GOOD["keys"], "p256dh": "B" * 87}}, "keys"),
        ({"keys": {**GOOD["keys"], "p256dh": "é"}}, "keys"),
        ({"keys": None}, "keys"),
        ({"shows_text": "yes"}, "shows_text"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_is_no_subscription_is_refused_and_changes_nothing(
    make_quick: MakeQuick, rows: Rows, change: dict[str, Any], field: str
) -> None:
    api = await make_quick(push_private_endpoints=False)
    ann = await api.register("Ann")
    problem = await api.call("POST", PATH, 422, who=ann, json=GOOD | change)
    assert list(problem["errors"]) == [field]
    assert await subscriptions(rows) == []


async def test_without_a_key_the_service_says_that_it_sends_nothing(make_api: MakeApi) -> None:
    api = await make_api()
    ann = await api.register("Ann")
    assert await api.call("GET", PATH, 200, who=ann) == {"public_key": None, "is_on": False, "shows_text": False}
    problem = await api.call("POST", PATH, 409, who=ann, json=GOOD)
    assert problem["type"] == "/problems/push-off"
