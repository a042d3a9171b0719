"""What holds for every route: problems, methods, media types, unknown things, health."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.routes import ROUTES
from shared.access.policy import GRID, Action, needs_login
from shared.domain.users import Role
from shared.logs import JsonLines
from shared.postgres import Statement
from tests.api.conftest import PASSWORD, Api

JSON = {"Content-Type": "application/json"}


def test_every_route_stands_once_and_has_an_action_of_the_table() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert {route.action for route in ROUTES} <= set(GRID)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if needs_login(route.action)], ids=lambda r: r.method + r.path
)
async def test_who_is_not_logged_in_is_asked_to_before_anything_else(api: Api, route: Any) -> None:
    path = route.path.replace("{id}", "x").replace("{user_id}", "x")
    await api.call(route.method, path + "?unknown=1", 401, data=b"{", headers={"Content-Type": "text/plain"})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method + route.path)
async def test_an_unknown_parameter_is_422_and_nothing_is_done(api: Api, route: Any) -> None:
    who = await api.register(role=Role.ADMIN) if needs_login(route.action) else None
    other = await api.register()
    path = route.path.replace("{id}", str(other.id)).replace("{user_id}", str(other.id))
    body = {"data": b"{}", "headers": JSON} if route.body else {}
    problem = await api.call(route.method, path, 422, who=who, params={"unknown": "1"}, **body)
    assert problem["errors"] == {"unknown": ["Unknown parameter."]} or "unknown" in problem["errors"]
    if who:
        await api.call("GET", "/api/me", 200, who=who)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.body], ids=lambda route: route.method + route.path
)
async def test_a_body_is_judged_in_the_promised_order(api: Api, route: Any) -> None:
    who = await api.register(role=Role.ADMIN) if needs_login(route.action) else None
    other = await api.register()
    path = route.path.replace("{id}", str(other.id)).replace("{user_id}", str(other.id))
    await api.call(route.method, path, 415, who=who, data=b"{}", headers={"Content-Type": "text/plain"})
    await api.call(
        route.method, path, 415, who=who, data=b"{}", headers={"Content-Type": "application/json; charset=x"}
    )
    for text in [b"", b"{", b"\xff", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"\xef\xbb\xbf{}", b"{}{}"]:
        await api.call(route.method, path, 400, who=who, data=text, headers=JSON)
    for text in [b"[]", b"null", b'"x"', b"1", b'{"unknown": 1, "\\ud800": 2}']:
        await api.call(route.method, path, 422, who=who, data=text, headers=JSON)


async def test_a_method_that_is_not_there_is_405_with_those_that_are(api: Api) -> None:
    response = await api.client.post("/api/me")
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == {"DELETE", "GET", "HEAD", "PATCH"}
    await api.call("PUT", "/api/login", 405)


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/api/me/", "/api/nothing", "/%00", "/api/users/1/x"])
async def test_an_unknown_path_is_a_problem_too(api: Api, path: str) -> None:
    await api.call("GET", path, 404)


async def test_a_body_beyond_the_limit_is_413(make_api: Callable[..., Awaitable[Api]]) -> None:
    api = await make_api(max_body_bytes=1000)
    await api.call("POST", "/api/login", 413, data=b'"' + b"x" * 1000 + b'"', headers=JSON)


async def test_head_answers_as_get_without_the_body(api: Api) -> None:
    someone = await api.register()
    await api.call("HEAD", "/api/me", 200, who=someone)


async def test_health_answers(api: Api) -> None:
    assert await api.call("GET", "/health/live", 200) == {"status": "ok"}
    assert await api.call("GET", "/health/ready", 200) == {"status": "ok"}


async def test_without_postgres_it_is_not_ready_and_answers_503(make_api: Callable[..., Awaitable[Api]]) -> None:
    api = await make_api(database_url="postgresql://nobody@127.0.0.1:1/nothing", database_timeout_seconds=2.0)
    answer = await api.call("GET", "/health/ready", 503)
    assert set(answer["reasons"]) == {"postgres"}
    await api.call("GET", "/health/live", 200)
    body = {"email": "a@example.com", "password": PASSWORD}
    problem = await api.call("POST", "/api/login", 503, json=body)
    assert problem["type"] == "/problems/unavailable"


async def test_too_many_log_ins_at_once_are_told_to_come_back(make_api: Callable[..., Awaitable[Api]]) -> None:
    api = await make_api(password_workers=1, max_waiting_passwords=2)
    body = {"email": "a@example.com", "password": PASSWORD}
    responses = await asyncio.gather(*(api.client.post("/api/login", json=body) for _ in range(12)))
    statuses = {response.status for response in responses}
    assert statuses == {401, 503}
    assert all("Retry-After" in response.headers for response in responses if response.status == 503)


async def test_a_request_is_one_json_line_without_query_or_secrets(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    someone = await api.register()
    caplog.set_level(logging.INFO)
    caplog.clear()
    await api.call("GET", "/api/me?token=secret-in-query", 422, who=someone)
    [record] = [record for record in caplog.records if record.name == "api"]
    text = JsonLines().format(record)
    line = json.loads(text)
    assert line.items() >= {"event": "request", "method": "GET", "path": "/api/me", "status": 422}.items()
    assert line["request_id"]
    assert "secret-in-query" not in text
    assert someone.access_token not in text


async def test_what_we_did_wrong_is_a_500_without_details(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.repositories.users._BY_ID", Statement("broken", "SELECT 1 / 0, $1::bigint"))
    someone = await api.register()
    problem = await api.call("GET", "/api/me", 500, who=someone)
    assert "division" not in json.dumps(problem)
    assert "division by zero" in caplog.text


def test_actions_are_in_the_order_of_the_alphabet() -> None:
    assert [action.name for action in Action] == sorted(action.name for action in Action)
    assert list(GRID) == list(Action)
