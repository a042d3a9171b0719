"""A person gets everything that is stored about them, in one file, and nothing of others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain.users import Role
from shared.repositories import export
from shared.repositories.export import LEFT_OUT, NAMED, SECTIONS
from tests.api.conftest import PASSWORD, Api, MakeApi, Person
from tests.api.rows import Rows
from tests.support.database import query
from tests.support.roles import as_owner

REFERENCES = """SELECT k.table_name, k.column_name
    FROM information_schema.referential_constraints r
    JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
    JOIN information_schema.constraint_column_usage u
      ON (u.constraint_schema, u.constraint_name) = (r.unique_constraint_schema, r.unique_constraint_name)
    WHERE u.table_name = 'users' AND r.constraint_schema = current_schema()"""
WITHOUT_KEY = {
    ("users", "id"),
    ("messages", "from_id"),
    ("messages", "to_id"),
    ("contacts", "user_id"),
    ("contacts", "other_id"),
    ("audit", "target_id"),
    ("sanctions", "user_id"),
    ("holds", "user_id"),
    *((table, column) for table in ("recent_texts", "held_messages") for column in ("from_id", "to_id")),
    *((table, column) for table in ("queue_groups", "queue_changes") for column in ("user_id", "person_id")),
}
"""Columns with a user's id that are no foreign keys."""


async def exported(api: Api, who: Person) -> dict[str, Any]:
    response = await api.client.get("/api/me/export", headers=who.headers)
    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.headers["Content-Disposition"].startswith(f'attachment; filename="daveslist-{who.id}-')
    assert response.headers["Cache-Control"] == "no-store"
    copy: dict[str, Any] = json.loads(await response.text())
    assert list(copy) == ["exported_at", *(section.name for section in SECTIONS)]
    return copy


def test_every_column_that_refers_to_a_user_is_in_the_copy_or_left_out_for_a_reason(database_url: str) -> None:
    # The processes' role does not see the keys of tables that it does not own.
    found = {(str(table), str(column)) for table, column in query(as_owner(database_url), REFERENCES)}
    assert len(found) > 15
    assert NAMED | set(LEFT_OUT) == found | WITHOUT_KEY
    assert not NAMED & set(LEFT_OUT)
    assert all(reason.endswith(".") for reason in LEFT_OUT.values())


async def person_with_everything(api: Api, rows: Rows) -> tuple[Person, Person]:
    """A moderator of whom every table has something, and somebody else with as much."""
    category = await rows.category()
    people = [await api.register(name, Role.ADMIN) for name in ("Ann", "Bob")]
    for one, other in (people, reversed(people)):
        call = api.call
        await api.login(one)
        title = f"A car of {one.email}"
        listing = (
            await call(
                "POST",
                "/api/listings",
                201,
                who=one,
                json={"title": title, "content": "It drives.", "category_id": category, "price": 9000},
            )
        )["id"]
        theirs = await rows.listing(other.id, category, title=f"A car for {one.id}")
        await rows.execute(
            """INSERT INTO pictures (listing_id, key, content_type, size, width, height, thumbnail_key,
                                     thumbnail_content_type, thumbnail_size)
               VALUES (%s, %s, 'image/jpeg', 1, 1, 1, %s, 'image/jpeg', 1)""",
            listing,
            f"k{one.id}",
            f"t{one.id}",
        )
        await call("POST", f"/api/listings/{theirs}/replies", 201, who=one, json={"text": f"Reply of {one.id}"})
        await call("POST", "/api/messages", 201, who=one, json={"to": other.id, "message": f"From {one.id}"})
        await rows.execute(
            """INSERT INTO message_pictures (owner_id, key, content_type, size, width, height,
                   medium_key, medium_content_type, medium_size, medium_width,
                   thumbnail_key, thumbnail_content_type, thumbnail_size, thumbnail_width)
               SELECT id, 'mk' || id, 'image/jpeg', 1, 1, 1, 'mm' || id, 'image/webp', 1, 1,
                      'mt' || id, 'image/webp', 1, 1
               FROM users WHERE id = %s""",
            one.id,
        )
        await call("PUT", f"/api/listings/{theirs}/favourite", 204, who=one)
        await call("POST", "/api/searches", 201, who=one, json={"name": f"Search of {one.id}", "query": {"q": "car"}})
        await call(
            "POST", f"/api/listings/{theirs}/reports", 201, who=one, json={"reason": "spam", "text": f"By {one.id}"}
        )
        [report] = await rows.fetch("SELECT id FROM reports WHERE reporter_id = %s", one.id)
        await call("PUT", f"/api/reports/{report[0]}/resolved", 200, who=one)
        await call("PUT", f"/api/listings/{theirs}/hidden", 200, who=one, json={"reason": f"Hidden by {one.id}"})
        await call("POST", "/api/categories", 201, who=one, json={"name": f"Of {one.id}", "visibility": "public"})
        await call("POST", "/api/me/second-factor", 201, who=one, json={"current_password": PASSWORD})
        await rows.execute(
            """INSERT INTO push_subscriptions (session_id, user_id, endpoint, p256dh, auth, shows_text)
               SELECT id, user_id, %s, '', '', false FROM sessions WHERE user_id = %s LIMIT 1""",
            f"https://push.example.com/endpoint-of-{one.id}",
            one.id,
        )
        await rows.execute("INSERT INTO mail_choices VALUES (%s, 'reply', 'never')", one.id)
        await rows.execute(
            "INSERT INTO outbox (user_id, kind, address, facts) VALUES (%s, 'reply', %s, '{}')", one.id, one.email
        )
        await rows.execute(
            """INSERT INTO passkeys (user_id, credential_id, public_key, sign_count, name)
               VALUES (%s, %s, 'k', 0, 'Phone')""",
            one.id,
            f"credential of {one.id}",
        )
        await rows.execute("INSERT INTO recovery_codes VALUES (%s, %s)", one.id, f"hash of {one.id}")
        await rows.execute(
            "INSERT INTO alerts (user_id, kind, listing_id, title) VALUES (%s, 'sold', %s, %s)",
            one.id,
            theirs,
            f"Of {one.id}",
        )
        await call("POST", f"/api/users/{other.id}/notes", 201, who=one, json={"text": f"Noted about {other.id}"})
        await rows.execute(
            """INSERT INTO audit (actor_id, action, target_type, target_id, reason)
               VALUES (%s, 'ban', 'user', %s, %s)""",
            other.id,
            one.id,
            f"About {one.id}",
        )
    for one, other in (people, reversed(people)):
        await api.call("PUT", f"/api/users/{other.id}/block", 200, who=one)
    return people[0], people[1]


async def test_the_copy_has_every_row_about_the_person_and_nothing_of_others(api: Api, rows: Rows) -> None:
    ann, bob = await person_with_everything(api, rows)
    copy = await exported(api, ann)
    for section in SECTIONS:
        assert copy[section.name], f"{section.name} is empty"
        conditions = " OR ".join(f"{column} = {ann.id}" for _, column in section.names)
        about = " AND target_type = 'user'" if section.name == "acts_about_you" else ""
        [[count]] = await rows.fetch(f"SELECT count(*) FROM {section.names[0][0]} WHERE ({conditions}){about}")
        assert len(copy[section.name]) == count, section.name
    [profile] = copy["profile"]
    assert (profile["id"], profile["email"], profile["role"]) == (ann.id, ann.email, "admin")
    assert profile["created_at"].endswith("Z")
    [own, _] = sorted(copy["listings"], key=lambda one: one["title"] != f"A car of {ann.email}")
    [picture] = own["pictures"]
    assert picture.startswith(f"http://127.0.0.1:{api.client.port}/api/pictures/")
    assert [message["text"] for message in copy["messages"]] == [f"From {ann.id}", f"From {bob.id}"]
    text = json.dumps(copy)
    for secret in (
        bob.email,
        f"Reply of {bob.id}",
        f"By {bob.id}",
        f"Search of {bob.id}",
        f"hash of {ann.id}",
        f"endpoint-of-{ann.id}",
        "argon2",
    ):
        assert secret not in text, secret
    [[seed]] = await rows.fetch("SELECT seed FROM second_factors WHERE user_id = %s", ann.id)
    assert seed not in text


async def test_long_lists_come_whole_and_in_order(
    make_api: MakeApi, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await make_api(rate_limits=False)
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 3)
    ann, bob, eve = [await api.register() for _ in range(3)]
    for count in (0, 1, 2, 3, 4, 6, 7):
        await rows.execute("DELETE FROM sessions WHERE user_id = %s", bob.id)
        sql = """INSERT INTO sessions (id, user_id, expires_at)
                 SELECT 's' || n, %s, now() + interval '1 hour' FROM generate_series(1, %s) n"""
        await rows.execute(sql, bob.id, count)
        sql = "INSERT INTO messages (from_id, to_id, text) SELECT %s, %s, n || '' FROM generate_series(1, %s) n"
        for one, other in ((ann, bob), (bob, ann), (ann, eve), (eve, bob), (bob, bob)):
            await rows.execute(sql, one.id, other.id, count)
        copy = await exported(api, await api.login(bob))
        assert len(copy["sessions"]) == count + 1
        ids = [message["id"] for message in copy["messages"]]
        [[wanted]] = await rows.fetch(
            "SELECT array_agg(id ORDER BY id) FROM messages WHERE %s IN (from_id, to_id)", bob.id
        )
        assert ids == (wanted or [])


async def test_copies_are_limited_for_each_account(make_api: MakeApi) -> None:
    api = await make_api(exports_per_account_minute=2)
    ann, bob = await api.register(), await api.register()
    statuses = [(await api.client.get("/api/me/export", headers=ann.headers)).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    await exported(api, bob)
