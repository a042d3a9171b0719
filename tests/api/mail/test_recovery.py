"""Who has forgotten the password gets a link by mail, and nobody learns from it who is registered."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from api.mail_links import MailLinks
from api.services import SERVICES, Services
from shared.domain.mails import Purpose
from tests.api.conftest import PASSWORD, Api, Broadcasts, MakeApi, Person
from tests.api.rows import Rows
from tests.api.trips import counted_trips

NEW = "another good battery"


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API that answers requests for a new password, and sends mails, only when a test says so."""
    return await make_api(rate_limits=False)


def services_of(api: Api) -> Services:
    services: Services = api.client.app[SERVICES]
    return services


async def forget(api: Api, address: str) -> None:
    await api.call("POST", "/api/password/forgotten", 202, json={"email": address})
    await services_of(api).mailing.answer_forgotten()


async def tokens(api: Api, rows: Rows) -> list[str]:
    """The tokens of the links in the mails that wait, oldest first."""
    found = await rows.fetch("SELECT facts->>'seed' FROM outbox WHERE kind = 'password_reset' ORDER BY id")
    links = services_of(api).mail_links
    return [links.token(Purpose.PASSWORD_RESET, seed) for (seed,) in found]


async def reset(api: Api, token: str, status: int, password: str = NEW) -> Any:
    return await api.call("POST", "/api/password/reset", status, json={"token": token, "password": password})


async def log_in(api: Api, who: Person, password: str, status: int) -> None:
    await api.call("POST", "/api/login", status, json={"email": who.email, "password": password})


async def test_a_link_sets_a_new_password_once_and_ends_all_sessions(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    ann = await api.register("Ann")
    elsewhere = await api.login(ann)
    await forget(api, ann.email)
    [token] = await tokens(api, rows)
    await reset(api, token, 204)
    for session in (ann, elsewhere):
        await api.call("GET", "/api/me", 401, who=session)
        await api.call("POST", "/api/token/refresh", 401, json={"refresh_token": session.refresh_token})
    ended = [payload for _, event, payload in broadcasts.seen if event == "disconnect"]
    assert [one["user_id"] for one in ended] == [ann.id]
    assert ended[0]["session_id"] is None
    await log_in(api, ann, PASSWORD, 401)
    await log_in(api, ann, NEW, 200)
    assert (await reset(api, token, 410))["type"] == "/problems/link-invalid"
    await log_in(api, ann, NEW, 200)
    told = await rows.fetch("SELECT kind, address FROM outbox WHERE kind = 'password_changed'")
    assert told == [("password_changed", ann.email)]


async def test_of_two_links_that_are_used_at_once_one_works(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    for _ in range(2):
        await forget(api, ann.email)
    both = await tokens(api, rows)
    bodies = [{"token": token, "password": NEW} for token in both]
    answers = await asyncio.gather(*(api.client.post("/api/password/reset", json=body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [204, 410]


async def test_any_spelling_of_the_address_is_the_account(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await forget(api, f"  {ann.email.upper()} ")
    assert len(await tokens(api, rows)) == 1
    [[address]] = await rows.fetch("SELECT address FROM outbox WHERE kind = 'password_reset'")
    assert address == ann.email


async def test_a_known_and_an_unknown_address_cost_the_same_statements_and_have_the_same_answer(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await api.register("Ann")
    answers, costs = [], []
    for address in (ann.email, "nobody@example.com", "no address at all", ann.email):
        with counted_trips(monkeypatch) as trips:
            response = await api.client.post("/api/password/forgotten", json={"email": address})
            answers.append((response.status, await response.text()))
        costs.append([trip.partition("(")[0] for trip in trips])
    assert len({str(answer) for answer in answers}) == 1
    assert answers[0][0] == 202
    # The first request prepares the statement.
    assert costs[1] == costs[2] == costs[3]
    assert len(costs[1]) == 1
    await services_of(api).mailing.answer_forgotten()
    assert await rows.fetch("SELECT * FROM forgotten_passwords") == []
    found = await rows.fetch("SELECT address FROM outbox WHERE kind = 'password_reset'")
    assert [row[0] for row in found] == [ann.email]


async def test_a_link_works_for_an_hour(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await forget(api, ann.email)
    [token] = await tokens(api, rows)
    [[seconds]] = await rows.fetch(
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM mail_links WHERE purpose = 'password_reset'"
    )
    assert 3500 < seconds <= 3600
    await rows.execute("UPDATE mail_links SET expires_at = now()")
    await reset(api, token, 410)
    await log_in(api, ann, PASSWORD, 200)


async def test_a_refused_password_leaves_the_link_as_it_is(api: Api, rows: Rows) -> None:
    ann = await api.register("Annabella")
    await forget(api, ann.email)
    [token] = await tokens(api, rows)
    for password in ("short", "password1", "annabella", ann.email):
        assert list((await reset(api, token, 422, password))["errors"]) == ["password"]
    await reset(api, token, 204)


async def test_a_forged_token_sets_nothing(api: Api, rows: Rows, make_api: MakeApi) -> None:
    ann = await api.register("Ann")
    await forget(api, ann.email)
    [token] = await tokens(api, rows)
    seed = token.partition(".")[0]
    other = MailLinks(services_of(await make_api(jwt_secrets=("x" * 20 + "y" * 20,))).settings)
    for forged in (
        "x",
        seed,
        f"{seed}.",
        token[:-1],
        token + "x",
        token.swapcase(),
        "é",
        other.token(Purpose.PASSWORD_RESET, seed),
    ):
        await reset(api, forged, 410)
    for wrong in ("", "x" * 5000, None, 7, "\ud800", "\x00"):
        await api.call("POST", "/api/password/reset", 422, json={"token": wrong, "password": NEW})
    await log_in(api, ann, PASSWORD, 200)


async def test_no_table_has_a_token_and_the_mail_forgets_its_seed_when_it_was_sent(
    api: Api, rows: Rows, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await api.register("Ann")
    await rows.execute("DELETE FROM outbox")
    with caplog.at_level(logging.DEBUG):
        await forget(api, ann.email)
        [token] = await tokens(api, rows)
        seed, _, signature = token.partition(".")
        tables = [row[0] for row in await rows.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for table in tables:
            for (row,) in await rows.fetch(f"SELECT row_to_json(t)::text FROM {table} t"):
                assert signature not in row
                assert table == "outbox" or seed not in row
        await services_of(api).mailing.step()
        assert await rows.fetch("SELECT * FROM outbox") == []
        [path] = services_of(api).mailing._carrier.folder.iterdir()  # type: ignore[union-attr]
        assert f"#{token}" in path.read_bytes().decode().replace("=\r\n", "").replace("=3D", "=")
        await reset(api, token, 204)
    logged = "\n".join(f"{record.getMessage()} {getattr(record, 'fields', '')}" for record in caplog.records)
    assert seed not in logged
    assert ann.email not in logged


async def test_a_new_password_or_address_ends_the_links_that_were_sent_before(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    for change in ({"password": NEW}, {"email": "new@example.com"}):
        await forget(api, ann.email)
        old = PASSWORD if "password" in change else NEW
        await api.call("PATCH", "/api/me", 200, who=ann, json={**change, "current_password": old})
    first, second = await tokens(api, rows)
    for token in (first, second):
        await reset(api, token, 410, "a third good battery")
    await log_in(api, Person(ann.id, "new@example.com", "", ""), NEW, 200)


async def test_using_one_link_ends_the_others(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await forget(api, ann.email)
    await forget(api, ann.email)
    first, second = await tokens(api, rows)
    await reset(api, second, 204)
    await reset(api, first, 410, "a third good battery")


async def test_one_account_gets_few_mails_however_often_somebody_asks(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    for _ in range(10):
        await forget(api, ann.email)
    assert len(await tokens(api, rows)) == 3
    await rows.execute("UPDATE mail_links SET expires_at = now()")
    await forget(api, ann.email)
    assert len(await tokens(api, rows)) == 4


async def test_requests_are_limited_by_account_known_or_not_and_by_address(make_api: MakeApi) -> None:
    api = await make_api(recoveries_per_minute=12)
    ann = await api.register("Ann")
    for email in (ann.email, "nobody@example.com"):
        body = {"email": email}
        statuses = [(await api.client.post("/api/password/forgotten", json=body)).status for _ in range(6)]
        assert statuses == [202] * 5 + [429]
    # Eleven or twelve were counted for the address, and another account is refused now, too.
    left = [await api.client.post("/api/password/forgotten", json={"email": f"{n}@example.com"}) for n in range(3)]
    assert left[-1].status == 429
    assert int(left[-1].headers["Retry-After"]) > 0


async def test_who_has_left_gets_no_mail_and_their_links_end(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await forget(api, ann.email)
    [token] = await tokens(api, rows)
    await api.call("DELETE", "/api/me", 204, who=ann, json={"current_password": PASSWORD})
    await reset(api, token, 410)
    await forget(api, ann.email)
    assert await rows.fetch("SELECT * FROM mail_links") == []
    assert await rows.fetch("SELECT * FROM outbox") == []


async def test_without_mail_the_request_says_so_and_the_page_shows_no_link(make_api: MakeApi) -> None:
    api = await make_api(environment="production")
    answer = await api.call("POST", "/api/password/forgotten", 503, json={"email": "ann@example.com"})
    assert answer["type"] == "/problems/no-mail"
    page = await (await api.client.get("/login")).text()
    assert json.dumps("mail")[1:-1] + "&#34;:false" in page or '"mail":false' in page


async def test_two_apis_answer_a_request_once(make_api: MakeApi, rows: Rows) -> None:
    apis = [await make_api(rate_limits=False) for _ in range(2)]
    ann = await apis[0].register("Ann")
    await apis[0].call("POST", "/api/password/forgotten", 202, json={"email": ann.email})
    counts = [await services_of(api).mailing.answer_forgotten() for api in apis]
    assert counts == [1, 0]
    assert len(await tokens(apis[0], rows)) == 1
