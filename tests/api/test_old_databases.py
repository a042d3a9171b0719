"""The databases of earlier versions become those of this one, and people find in them all that they had."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from api.services import SERVICES, Services
from shared.domain.users import Role
from shared.postgres.schema import SCHEMA, apply_schema
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, MakeApi, Person, person
from tests.api.old_databases import VERSIONS, old_database
from tests.api.rows import Rows
from tests.support.database import query
from tests.support.roles import as_owner
from tests.support.servers import Servers, run
from tests.support.waiting import PATIENCE_SECONDS

ANN, BOB, MAX, ZOE, EVE, NOBODY = range(1, 7)

SHAPE = {
    "columns": """SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity,
                         generation_expression
                  FROM information_schema.columns WHERE table_schema = current_schema()""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
    "constraints": """SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
                      WHERE connamespace = current_schema()::regnamespace""",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": """SELECT p.proname, pg_get_functiondef(p.oid) FROM pg_proc p
                    WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f'
                      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')""",
    "statistics": "SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "rights": """SELECT table_name, privilege_type FROM information_schema.role_table_grants
                 WHERE grantee = 'daveslist_processes'""",
}


@pytest.fixture(params=VERSIONS)
def database_url(servers: Servers, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of an earlier version, to which this version's schema was applied twice."""
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, old_database(request.param))
        assert run(apply_schema(Settings(database_url=owner)))
        query(owner, SCHEMA.read_text(encoding="utf-8"))
        assert not run(apply_schema(Settings(database_url=owner)))
        yield url


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API at which people have to confirm their addresses."""
    return await make_api(rate_limits=False, confirm_addresses="on", analysis_seconds=0.05)


async def log_in(api: Api, email: str, password: str = PASSWORD, status: int = 200) -> Any:
    return await api.call("POST", "/api/login", status, json={"email": email, "password": password})


async def someone(api: Api, email: str) -> Person:
    return person(await log_in(api, email))


def test_an_old_database_gets_the_same_shape_as_a_new_one(servers: Servers, database_url: str) -> None:
    with servers.database() as new:
        for name, sql in SHAPE.items():
            old_shape = {tuple(map(str, row)) for row in query(as_owner(database_url), sql)}
            new_shape = {tuple(map(str, row)) for row in query(as_owner(new), sql)}
            assert old_shape == new_shape, name


async def test_old_accounts_log_in_and_are_confirmed(api: Api) -> None:
    assert api.settings.confirms_addresses
    for email in (" ann@EXAMPLE.com", "bob@example.com"):
        answer = await log_in(api, email)
        assert (answer["user"]["confirmed"], answer["user"]["must_confirm"]) == (True, False)
    decomposed = unicodedata.normalize("NFD", "schön grüne batterie")
    for typed in (decomposed, unicodedata.normalize("NFC", decomposed)):
        await log_in(api, "Zoë@München.example", typed)
    await log_in(api, "ann@example.com", "wrong horse battery", 401)
    assert (await log_in(api, "eve@example.com", status=403))["type"] == "/problems/banned"


async def test_old_sessions_go_on_and_ended_ones_stay_ended(api: Api) -> None:
    services: Services = api.client.app[SERVICES]
    token = services.tokens.issue(ANN, Role.USER, "alive", seconds=600)
    ann = Person(ANN, "", token, services.tokens.issue_refresh("alive", 3))
    assert (await api.call("GET", "/api/me", 200, who=ann))["name"] == "Ann"
    assert [one["id"] for one in await api.every_page("/api/me/sessions", who=ann)] == ["alive"]
    await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": ann.refresh_token})
    ended = replace(ann, access_token=services.tokens.issue(ANN, Role.USER, "ended", seconds=600))
    await api.call("GET", "/api/me", 401, who=ended)


async def test_old_messages_are_read_and_nobody_is_told_of_them_now(api: Api, rows: Rows) -> None:
    ann = await someone(api, "ann@example.com")
    [conversation] = await api.every_page("/api/conversations", who=ann)
    assert conversation["unread_count"] == 1
    messages = await api.every_page(f"/api/conversations/{BOB}/messages", who=ann)
    assert {one["message"] for one in messages} == {"Is it still there?", "Yes.", "Good."}
    # What was there counts as looked at.
    assert await rows.fetch("SELECT id FROM looked_at WHERE kind = 'messages'") == [(3,)]
    assert await rows.fetch("SELECT * FROM waiting_news") == []
    await api.call("POST", "/api/messages", 201, who=ann, json={"to": str(BOB), "message": "It is."})
    await api.call("POST", "/api/messages", 422, who=ann, json={"to": str(NOBODY), "message": "Hello?"})


async def test_old_listings_are_found_shown_hidden_and_thrown_away_as_before(api: Api) -> None:
    ann, bob = await someone(api, "ann@example.com"), await someone(api, "bob@example.com")
    async with asyncio.timeout(PATIENCE_SECONDS):
        # An API makes their words anew, and finds the town of their place.
        while not (found := await api.every_page("/api/listings?q=golf")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert [one["title"] for one in found] == ["A blue Golf"]
    assert [one["title"] for one in await api.every_page("/api/listings?status=sold")] == ["A sold Corolla"]
    own = {one["title"] for one in await api.every_page(f"/api/listings?seller_id={ANN}", who=ann)}
    assert own == {"A blue Golf", "A hidden one"}
    golf = await api.call("GET", "/api/listings/1", 200, who=bob)
    [picture] = golf["pictures"]
    assert (picture["width"], picture["sizes"]) == (800, [])
    assert [one["text"] for one in await api.every_page("/api/listings/1/replies")] == ["A nice one."]
    await api.call("PATCH", "/api/listings/1", 200, who=ann, json={"price": 9000})
    await api.call("POST", "/api/listings/1/reports", 409, who=bob, json={"reason": "spam"})


async def test_old_reports_wait_in_the_queue(api: Api, rows: Rows) -> None:
    moderator = await api.register("Mona", Role.MODERATOR)
    opened = await rows.fetch("SELECT id FROM reports WHERE resolved_at IS NULL ORDER BY id DESC")
    groups = await api.every_page("/api/moderation/queue", who=moderator)
    assert [(entry["id"],) for group in groups for entry in group["entries"]] == opened != []


async def test_old_accounts_publish_and_use_what_is_new(api: Api, rows: Rows) -> None:
    ann = await someone(api, "ann@example.com")
    listing = {"title": "A new one", "content": "It drives.", "category_id": "1"}
    await api.call("POST", "/api/listings", 201, who=ann, json=listing)
    choices = await api.call("GET", "/api/me/mail", 200, who=ann)
    assert all(one["choice"] for one in choices["data"])
    await api.call("POST", "/api/me/second-factor", 201, who=ann, json={"current_password": PASSWORD})
    await api.call("GET", "/api/me/export", 200, who=ann)
    await api.call("POST", "/api/password/forgotten", 202, json={"email": "ann@example.com"})
    services: Services = api.client.app[SERVICES]
    await services.mailing.answer_forgotten()
    assert [row[0] for row in await rows.fetch("SELECT address FROM outbox WHERE kind = 'password_reset'")] == [
        "Ann@Example.com"
    ]
    await api.call("DELETE", "/api/me", 204, who=ann, json={"current_password": PASSWORD})
