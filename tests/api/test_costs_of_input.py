"""No input costs much: each kind of large body and query is refused with a short answer and little CPU time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.endpoint import Route
from api.routes import ROUTES
from shared.domain.declared import fields_of
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import Api, Person

pytestmark = pytest.mark.usefixtures("at_rest")

MOST_SECONDS = 0.05
MOST_ANSWER_BYTES = 4096
SIZE = Settings().max_body_bytes - 100
JSON = {"Content-Type": "application/json"}


def fields(value: str) -> Callable[[Route], str]:
    """Returns what makes a body in which every known field has this JSON value."""
    return lambda route: with_fields(names_of(route), value)


def long_fields(beginning: str, part: str, end: str) -> Callable[[Route], str]:
    """Returns what makes a body in which every known field has such a text, with as many parts as the body may have."""

    def body(route: Route) -> str:
        names = names_of(route)
        room = SIZE // len(names) - len(beginning) - len(end) - 30
        return with_fields(names, f'"{beginning}{part * (room // len(part))}{end}"')

    return body


def names_of(route: Route) -> list[str]:
    assert route.body is not None
    return [one.name.removesuffix("_") for one in fields_of(getattr(route.body, "OF", route.body))]


def with_fields(names: list[str], value: str) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name in names) + "}"


BODIES: dict[str, Callable[[Route], str]] = {
    "unknown fields": lambda _: "{" + ",".join(f'"{n}":0' for n in range(SIZE // 10)) + "}",
    "long unknown fields": lambda _: "{" + ",".join(f'"{n:05}{"x" * 3000}":0' for n in range(SIZE // 3010)) + "}",
    "one field with a huge name": lambda _: f'{{"{"x" * (SIZE - 10)}":0}}',
    "names with lone surrogates": lambda _: "{" + ",".join(f'"\\ud800{n}":0' for n in range(SIZE // 18)) + "}",
    "a list": lambda _: "[" + "0," * (SIZE // 2 - 2) + "0]",
    "deep lists": lambda _: "[" * SIZE,
    "deep lists in a field": lambda _: '{"email":' + "[" * (SIZE // 2 - 10) + "]" * (SIZE // 2 - 10) + "}",
    "long numbers": lambda _: '{"price":' + "9" * (SIZE - 20) + "}",
    "many long numbers": lambda _: '{"email":[' + ",".join(["9" * 3999] * (SIZE // 4000)) + ',"\\ud800"]}',
    "constants": lambda _: '{"email":[' + "NaN," * (SIZE // 4 - 10) + "1]}",
    "numbers that Python parses": lambda _: '{"email":[' + "1," * (SIZE // 2 - 20) + '"\\ud800"]}',
    "text that is no JSON": lambda _: "x" * SIZE,
    "objects in every field": fields('{"a":' + "[0," * 1000 + "0" + "]" * 1000 + "}"),
    "long text in every field": long_fields("", "a@", ""),
    "dots in every field": long_fields("", "a.", "@b"),
    "accents in every field": long_fields("", "\\u0301", ""),
    "a long domain in one field": lambda _: '{"email":"a@' + "a." * (SIZE // 2 - 20) + 'a"}',
    "a long local part in one field": lambda _: '{"email":"' + "a" * (SIZE - 100) + '@example.com"}',
    "a quoted local part in one field": lambda _: '{"email":"\\"' + "a" * (SIZE - 100) + '@example.com"}',
    "a long time": lambda _: '{"until":"' + "2026-01-01T00:00:00." + "1" * (SIZE - 100) + 'Z","reason":"x"}',
}


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_costs_much_or_gets_a_long_answer(api: Api, name: str) -> None:
    admin = await api.register(role=Role.ADMIN)
    for route in ROUTES:
        if route.body is None:
            continue
        path = route.path.replace("{id}", str(admin.id)).replace("{user_id}", str(admin.id))
        body = BODIES[name](route).encode()
        assert len(body) <= Settings().max_body_bytes
        await cheap(api, route.method, path, who=admin, data=body, headers=JSON)


QUERIES = {
    "unknown parameters": "&".join(f"p{n}" for n in range(1200)),
    "one parameter many times": "&".join(["q=1"] * 1800),
    "many parameters twice": "&".join(f"{n % 900}" for n in range(1800)),
    "a long cursor": "cursor=" + "A" * 7000,
    "many ids": "user_ids=" + "1," * 3500,
    "a long text": "q=" + "%CC%81" * 1100,
}


@pytest.mark.parametrize("name", QUERIES)
async def test_no_query_costs_much_or_gets_a_long_answer(api: Api, name: str) -> None:
    admin = await api.register(role=Role.ADMIN)
    for path in ("/api/listings", "/api/users", "/api/conversations", "/api/messages", "/api/me", "/api/audit"):
        await cheap(api, "GET", f"{path}?{QUERIES[name]}", who=admin)


async def cheap(api: Api, method: str, path: str, *, who: Person, **more: Any) -> None:
    """Check that the request is refused with few bytes and little CPU time of this thread, in one of three tries."""
    more["headers"] = {**who.headers, **more.get("headers", {})}
    times = []
    for _ in range(3):
        started = time.thread_time()
        async with api.client.request(method, path, **more) as response:
            answer = await response.read()
        times.append(time.thread_time() - started)
        assert 400 <= response.status < 500, (path, response.status)
        assert len(answer) <= MOST_ANSWER_BYTES, f"{method} {path}: {len(answer)} bytes"
        json.loads(answer)
        if times[-1] < MOST_SECONDS:
            return
    raise AssertionError(f"{method} {path}: {times} s")


async def test_at_most_ten_unknown_fields_are_named_beside_the_wrong_ones(api: Api) -> None:
    body = {"email": 1, **{f"extra{number}": 1 for number in range(30)}}
    problem = await api.call("POST", "/api/login", 422, json=body)
    assert len(problem["errors"]) == 12
    assert problem["errors"]["extra0"] == ["Unknown field."]
    assert {"email", "password"} < set(problem["errors"])
    problem = await api.call("GET", "/api/listings?" + "&".join(f"extra{number}=1" for number in range(30)), 422)
    assert list(problem["errors"]) == [f"extra{number}" for number in range(10)]


async def test_a_listing_with_the_longest_texts_fits(api: Api) -> None:
    someone = await api.register()
    emoji = "\\ud83d\\ude97"
    names = {"title": 80, "content": 5000, "make": 100, "model": 100, "location": 100}
    body = "{" + ",".join(f'"{name}":"{emoji * longest}"' for name, longest in names.items()) + "}"
    await api.call("POST", "/api/listings", 422, who=someone, data=body.encode(), headers=JSON)
    problem = await api.call("POST", "/api/listings", 422, who=someone, data=body.encode(), headers=JSON)
    assert "content" not in problem["errors"]
