"""New accounts write first to so many people and make so many listings a day, and then are told when they can go on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

PEOPLE, LISTINGS = 3, 2
LIMITED = "/problems/new-account-limit"


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    return await make_api(
        new_account_days=7, new_account_people=PEOPLE, new_account_listings=LISTINGS, rate_limits=False
    )


async def write(api: Api, who: Person, to: int, status: int = 201) -> Any:
    return await api.call("POST", "/api/messages", status, who=who, json={"to": to, "message": "Hello"})


async def offer(api: Api, who: Person, category_id: int, status: int = 201) -> Any:
    body = {"title": "A car", "content": "Red.", "category_id": category_id}
    return await api.call("POST", "/api/listings", status, who=who, json=body)


async def others(rows: Rows, count: int) -> list[int]:
    return [
        (
            await rows.fetch(
                "INSERT INTO users (name, email, password_hash) VALUES ('O', gen_random_uuid() || '@example.com', '-')"
                " RETURNING id"
            )
        )[0][0]
        for _ in range(count)
    ]


def is_about_a_day_away(problem: Any) -> bool:
    away = datetime.fromisoformat(problem["again_at"]) - datetime.now(UTC)
    return timedelta(hours=23) < away < timedelta(hours=25)


async def test_a_new_account_writes_first_to_so_many_people_a_day(api: Api, rows: Rows) -> None:
    ann = await api.register()
    people = await others(rows, PEOPLE + 2)
    for other in people[:PEOPLE]:
        await write(api, ann, other)
    problem = await write(api, ann, people[PEOPLE], 429)
    assert problem["type"] == LIMITED
    assert is_about_a_day_away(problem)
    # The conversations that have begun go on.
    for other in people[:PEOPLE]:
        await write(api, ann, other)
    # So do those that somebody else has begun.
    await rows.execute("INSERT INTO messages (from_id, to_id, text) VALUES (%s, %s, 'Hi')", people[-1], ann.id)
    await write(api, ann, people[-1])
    await rows.execute("UPDATE beginnings SET begun_at = begun_at - interval '1 day' WHERE other_id = %s", people[0])
    await write(api, ann, people[PEOPLE])


async def test_messages_at_the_same_time_do_not_pass_the_limit_together(api: Api, rows: Rows) -> None:
    ann = await api.register()
    people = await others(rows, 2 * PEOPLE)
    sent = await asyncio.gather(
        *(
            api.client.post("/api/messages", json={"to": other, "message": "Hello"}, headers=ann.headers)
            for other in people
        )
    )
    assert sorted(one.status for one in sent) == [201] * PEOPLE + [429] * PEOPLE
    assert await rows.fetch("SELECT count(*) FROM messages") == [(PEOPLE,)]


async def test_a_message_to_nobody_does_not_count(api: Api, rows: Rows) -> None:
    ann = await api.register()
    for number in range(2 * PEOPLE):
        await write(api, ann, 10_000 + number, 422)
    for other in await others(rows, PEOPLE):
        await write(api, ann, other)


async def test_a_new_account_makes_so_many_listings_a_day(api: Api, rows: Rows) -> None:
    ann, category_id = await api.register(), await rows.category()
    made = [await offer(api, ann, category_id) for _ in range(LISTINGS)]
    # A deleted listing has been seen as well.
    await api.call("DELETE", f"/api/listings/{made[0]['id']}", 204, who=ann)
    problem = await offer(api, ann, category_id, 429)
    assert problem["type"] == LIMITED
    assert is_about_a_day_away(problem)
    await rows.execute("UPDATE listings SET created_at = created_at - interval '1 day' WHERE id = %s", made[0]["id"])
    await offer(api, ann, category_id)


async def test_listings_at_the_same_time_do_not_pass_the_limit_together(api: Api, rows: Rows) -> None:
    ann, category_id = await api.register(), await rows.category()
    body = {"title": "A car", "content": "Red.", "category_id": category_id}
    sent = await asyncio.gather(
        *(api.client.post("/api/listings", json=body, headers=ann.headers) for _ in range(2 * LISTINGS))
    )
    assert sorted(one.status for one in sent) == [201] * LISTINGS + [429] * LISTINGS


@pytest.mark.parametrize("who", ["moderator", "admin", "old"])
async def test_staff_and_old_accounts_have_no_such_limit(api: Api, rows: Rows, who: str) -> None:
    someone = await api.register(role=Role(who) if who != "old" else Role.USER)
    if who == "old":
        await rows.execute("UPDATE users SET created_at = now() - interval '8 days'")
    category_id = await rows.category()
    for other in await others(rows, PEOPLE + 1):
        await write(api, someone, other)
    for _ in range(LISTINGS + 1):
        await offer(api, someone, category_id)


async def test_the_limit_ends_with_the_time_for_which_an_account_is_new(api: Api, rows: Rows) -> None:
    ann, category_id = await api.register(), await rows.category()
    await rows.execute("UPDATE users SET created_at = now() - interval '7 days' + interval '1 hour'")
    for _ in range(LISTINGS):
        await offer(api, ann, category_id)
    away = datetime.fromisoformat((await offer(api, ann, category_id, 429))["again_at"]) - datetime.now(UTC)
    assert timedelta(0) < away <= timedelta(hours=1)
