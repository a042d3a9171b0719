"""Rules that every route follows: problems, methods, media types, unknown parameters, log lines; and health checks."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import re
from collections import Counter
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import FormData

from api.routes import ROUTES
from shared.access.policy import GRID, Action, needs_login
from shared.domain.pictures import MESSAGE_PICTURES, PICTURES
from shared.domain.users import Role
from shared.logs import JsonLines
from shared.postgres import Database, Statement
from shared.version import VERSION
from tests.api.conftest import PASSWORD, SHARES_THE_API, Api, MakeApi, Person
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")

JSON = {"Content-Type": "application/json"}

# A picture of one transparent pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)

REST = [route for route in ROUTES if route.path.startswith(("/api/", "/health/"))]
"""All routes but the web page's."""

# One row in every table, as if the admin with id 1 and the user with id 2 had made them.
ONE_OF_EVERYTHING = """
    INSERT INTO categories (id, name) VALUES (1, 'Sedans');
    INSERT INTO listings (id, seller_id, category_id, title, content) VALUES (1, 1, 1, 'A car', 'A good one');
    INSERT INTO listings (id, seller_id, category_id, title, content, trashed_at, trashed_by)
        VALUES (2, 1, 1, 'Another car', 'In the trash', now(), 1);
    INSERT INTO pictures (id, listing_id, key, content_type, size, width, height,
                          thumbnail_key, thumbnail_content_type, thumbnail_size)
        VALUES (1, 1, 'one', 'image/webp', 1, 1, 1, 'one-small', 'image/webp', 1);
    INSERT INTO uploads (user_id, listing_id, length, expires_at) VALUES (1, 1, 9, 'tomorrow');
    INSERT INTO replies (id, listing_id, author_id, text) VALUES (1, 1, 1, 'Nice');
    INSERT INTO messages (from_id, to_id, text) VALUES (1, 1, 'Hello'), (2, 1, 'Hello');
    INSERT INTO message_pictures (id, owner_id, key, content_type, size, width, height,
                                  medium_key, medium_content_type, medium_size, medium_width,
                                  thumbnail_key, thumbnail_content_type, thumbnail_size, thumbnail_width)
        VALUES (1, 1, 'two', 'image/webp', 1, 1, 1, 'two-medium', 'image/webp', 1, 1, 'two-small', 'image/webp', 1, 1);
    INSERT INTO findings (kind, user_id, listing_id, other_listing_id) VALUES ('same_vin', 2, 1, 2);
    INSERT INTO messages (from_id, to_id, text, held_at) VALUES (2, 1, 'Watches', now());
    INSERT INTO holds (user_id) VALUES (2);
    INSERT INTO held_messages (message_id, hold_id, from_id, to_id)
        SELECT id, 1, 2, 1 FROM messages WHERE held_at IS NOT NULL;
    INSERT INTO reports (id, user_id, message_id, reporter_id, reason) SELECT 1, 2, id, 1, 'spam' FROM messages
        WHERE from_id = 2 AND held_at IS NULL;
    INSERT INTO listings (id, seller_id, category_id, title, content) VALUES (3, 2, 1, 'A third car', 'Reported');
    INSERT INTO reports (id, listing_id, reporter_id, reason) VALUES (2, 3, 1, 'spam');
    INSERT INTO notes (user_id, author_id, text) VALUES (2, 1, 'Careful');
    INSERT INTO sanctions (kind, user_id, reason, objection, objected_at) VALUES ('warning', 2, 'Spam', 'No', now());
"""


def named(route: Any) -> str:
    return f"{route.method}{route.path}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared_api: Api) -> Person:
    """An admin, in a database that has one row in every table."""
    registered = await shared_api.register(role=Role.ADMIN)
    await shared_api.register()
    database = await Database.connect(shared_api.settings)
    await database.execute(Statement("", ONE_OF_EVERYTHING))
    await database.close()
    return registered


def existing_path(route: Any) -> str:
    """The route's path, with ids of rows that exist and that the admin may change."""
    number = "2" if route.path.startswith(("/api/users/", "/api/trash/", "/api/moderation/queue/people/")) else "1"
    number = "3" if route.path.startswith("/api/moderation/queue/listings/") else number
    path = str(route.path).replace("{id}", number).replace("{user_id}", "2").replace("{picture_id}", "1")
    return path.replace("{session_id}", "x")


def test_every_route_is_listed_once_and_has_an_action_of_the_policy() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert {route.action for route in ROUTES} <= set(GRID)


@SHARES_THE_API
@pytest.mark.parametrize("route", [route for route in REST if needs_login(route.action)], ids=named)
async def test_the_missing_log_in_is_reported_before_any_other_fault(shared_api: Api, route: Any) -> None:
    path = re.sub(r"{\w+}", "x", route.path)
    await shared_api.call(route.method, path + "?unknown=1", 401, data=b"{", headers={"Content-Type": "text/plain"})


@SHARES_THE_API
@pytest.mark.parametrize("route", REST, ids=named)
async def test_an_unknown_parameter_is_422_and_changes_nothing(shared_api: Api, admin: Person, route: Any) -> None:
    who = admin if needs_login(route.action) else None
    body: dict[str, Any] = {"data": b"{}", "headers": JSON} if route.body else {}
    if route.path in (PICTURES, MESSAGE_PICTURES):
        body = {"data": FormData({"picture": io.BytesIO(PIXEL)})}
    problem = await shared_api.call(route.method, existing_path(route), 422, who=who, params={"unknown": "1"}, **body)
    assert "unknown" in problem["errors"]
    await shared_api.call("GET", "/api/me", 200, who=admin)


@SHARES_THE_API
@pytest.mark.parametrize("route", [route for route in REST if route.body], ids=named)
async def test_a_wrong_body_gets_415_400_or_422(shared_api: Api, admin: Person, route: Any) -> None:
    who = admin if needs_login(route.action) else None
    path = existing_path(route)
    for wrong in ("text/plain", "application/json; charset=x"):
        await shared_api.call(route.method, path, 415, who=who, data=b"{}", headers={"Content-Type": wrong})
    for text in [b"{", b"\xff", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"\xef\xbb\xbf", b"{}{}"]:
        await shared_api.call(route.method, path, 400, who=who, data=text, headers=JSON)
    for text in [b"[]", b"null", b'"x"', b"1", b'{"unknown": 1, "\\ud800": 2}']:
        await shared_api.call(route.method, path, 422, who=who, data=text, headers=JSON)


@SHARES_THE_API
@pytest.mark.parametrize("path", ["/api/login", "/api/listings/1/pictures"])
async def test_a_body_that_cannot_be_unpacked_is_400(shared_api: Api, admin: Person, path: str) -> None:
    kind = "multipart/form-data; boundary=x" if path.endswith("pictures") else "application/json"
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    problem = await shared_api.call("POST", path, 400, who=admin, data=b"not packed", headers=headers)
    assert problem["type"] == "/problems/bad-request"


async def test_a_client_that_disconnects_within_its_body_is_not_logged_as_an_error(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: asyncio.Queue[logging.LogRecord] = asyncio.Queue()
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", logged.put_nowait)
    caplog.set_level(logging.INFO, "api.middlewares.requests")
    monkeypatch.setattr(logging.getLogger("api.middlewares.requests"), "handlers", [handler])
    _, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    head = "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(PATIENCE_SECONDS):
        record = await logged.get()
    assert (record.levelname, record.msg, logged.empty()) == ("INFO", "request", True)


async def test_a_very_long_number_is_422(api: Api) -> None:
    text = b'{"email": ' + b"9" * 5000 + b', "password": "x"}'
    problem = await api.call("POST", "/api/login", 422, data=text, headers=JSON)
    assert set(problem["errors"]) == {"email"}


async def test_a_byte_order_mark_before_json_is_ignored(api: Api) -> None:
    person = {"name": "Ünï", "email": "uni@example.com", "password": "correct horse battery"}
    text = b"\xef\xbb\xbf" + json.dumps(person, ensure_ascii=False).encode()
    made = await api.call("POST", "/api/register", 201, data=text, headers=JSON)
    assert made["user"]["name"] == "Ünï"


async def test_an_empty_body_is_400(api: Api) -> None:
    await api.call("POST", "/api/login", 400, data=b"", headers=JSON)


async def test_an_unknown_method_is_405_with_the_allowed_methods(api: Api) -> None:
    response = await api.client.post("/api/me")
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == {"DELETE", "GET", "HEAD", "PATCH"}
    await api.call("PUT", "/api/login", 405)


@SHARES_THE_API
@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/", "/api/me/", "/api/nothing", "/%00", "/api/users/1/x"])
async def test_an_unknown_path_is_404(shared_api: Api, path: str) -> None:
    await shared_api.call("GET", path, 404)


async def test_a_body_beyond_the_limit_is_413(make_api: MakeApi) -> None:
    api = await make_api(max_body_bytes=1000)
    await api.call("POST", "/api/login", 413, data=b'"' + b"x" * 1000 + b'"', headers=JSON)


async def test_head_is_answered_like_get(api: Api) -> None:
    someone = await api.register()
    await api.call("HEAD", "/api/me", 200, who=someone)


async def test_health_answers(api: Api) -> None:
    assert await api.call("GET", "/health/live", 200) == {"status": "ok", "version": VERSION}
    assert await api.call("GET", "/health/ready", 200) == {"status": "ok", "version": VERSION}


async def test_without_postgres_the_api_is_not_ready_and_answers_503(make_api: MakeApi) -> None:
    api = await make_api(database_url="postgresql://nobody@127.0.0.1:1/nothing", database_timeout_seconds=2.0)
    answer = await api.call("GET", "/health/ready", 503)
    assert answer["reasons"] == {"postgres": "unavailable"}
    await api.call("GET", "/health/live", 200)
    body = {"email": "a@example.com", "password": PASSWORD}
    problem = await api.call("POST", "/api/login", 503, json=body)
    assert problem["type"] == "/problems/unavailable"


@pytest.mark.usefixtures("real_hashes")
async def test_too_many_concurrent_log_ins_get_503_with_retry_after(make_api: MakeApi) -> None:
    api = await make_api(password_workers=1, max_waiting_passwords=2)
    body = {"email": "a@example.com", "password": PASSWORD}
    responses = await asyncio.gather(*(api.client.post("/api/login", json=body) for _ in range(12)))
    statuses = {response.status for response in responses}
    assert statuses == {401, 503}
    assert all("Retry-After" in response.headers for response in responses if response.status == 503)


async def test_a_request_is_logged_as_one_json_line_without_query_or_secrets(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    someone = await api.register()
    caplog.set_level(logging.INFO)
    caplog.clear()
    await api.call("GET", "/api/me?token=secret-in-query", 422, who=someone)
    [record] = [record for record in caplog.records if record.name == "api.middlewares.requests"]
    text = JsonLines().format(record)
    line = json.loads(text)
    assert line.items() >= {"event": "request", "method": "GET", "path": "/api/me", "status": 422}.items()
    assert (line["user_id"], line["address"]) == (someone.id, "127.0.0.1")
    assert line["request_id"]
    assert "secret-in-query" not in text
    assert someone.access_token not in text


async def test_lines_about_requests_that_change_nothing_are_limited_and_each_change_has_one(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    api = await make_api(
        request_line_burst=20, request_line_client_burst=5, request_lines_per_client_second=1e-6, rate_limits=False
    )
    someone = await api.register()
    caplog.set_level(logging.INFO)
    caplog.clear()
    for _ in range(20):
        await api.call("GET", "/api/categories", 200)
        await api.call("POST", "/api/login", 401, json={"email": someone.email, "password": "wrong password"})
        await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Somebody"})
    await api.call("GET", "/api/categories", 200, who=someone)
    lines = [record.fields for record in caplog.records if record.getMessage() == "request"]  # type: ignore[attr-defined]
    assert Counter((line["method"], line["status"]) for line in lines) == {
        ("GET", 200): 6,
        ("POST", 401): 5,
        ("PATCH", 200): 20,
    }
    assert [line.get("left_out") for line in lines][-1] == 15


async def test_a_server_error_is_500_without_details(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.repositories.users._BY_ID", Statement("broken", "SELECT 1 / 0, $1::bigint"))
    someone = await api.register()
    problem = await api.call("GET", "/api/me", 500, who=someone)
    assert "division" not in json.dumps(problem)
    assert "division by zero" in caplog.text


def test_actions_are_in_alphabetical_order() -> None:
    assert [action.name for action in Action] == sorted(action.name for action in Action)
    assert list(GRID) == list(Action)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("what anybody says, 203.0.113.7", "203.0.113.7"),
        ("password=hunter2", "127.0.0.1"),
    ],
)
async def test_the_log_line_of_a_request_has_the_clients_address(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture, forwarded: str, address: str
) -> None:
    api = await make_api(trusted_proxies=(ip_network("127.0.0.0/8"),))
    caplog.set_level(logging.INFO)
    await api.client.get("/api/categories", headers={"X-Forwarded-For": forwarded})
    [record] = [record for record in caplog.records if record.name == "api.middlewares.requests"]
    line = json.loads(JsonLines().format(record))
    assert (line["user_id"], line["address"]) == (None, address)
    assert "hunter2" not in str(line)


async def test_a_forwarded_address_is_ignored_without_a_trusted_proxy(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await api.client.get("/api/categories", headers={"X-Forwarded-For": "203.0.113.7"})
    [record] = [record for record in caplog.records if record.name == "api.middlewares.requests"]
    assert json.loads(JsonLines().format(record))["address"] == "127.0.0.1"
