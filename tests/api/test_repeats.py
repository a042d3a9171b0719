"""Requests with an Idempotency-Key: repeated, at once, with other content, and after their key has expired."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import FormData

from api.routes import ROUTES
from shared.domain.repeats import MAX_KEY_LENGTH, KeptAnswer, Repeatable
from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.erasure import erase_some
from shared.repositories.repeats import RepeatRepository, remove_old_keys
from shared.settings import Settings
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.rows import Rows
from tests.api.test_conventions import PIXEL

pytestmark = pytest.mark.usefixtures("at_rest")

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
CATEGORY = "/api/categories"
LISTING = "/api/listings"
MESSAGE = "/api/messages"
REPLY = "/api/listings/1/replies"
REPORTS = ("/api/listings/2/reports", "/api/users/2/reports", "/api/messages/1/reports", "/api/replies/1/reports")
SEARCH = "/api/searches"
WARNING = "/api/users/2/warnings"
NOTES = ("/api/users/2/notes", "/api/listings/2/notes")
PICTURE = "/api/listings/1/pictures"
UPLOAD = "/api/listings/1/uploads"
MESSAGE_PICTURE = "/api/messages/pictures"
PICTURES = (PICTURE, MESSAGE_PICTURE)

BODIES: dict[str, Callable[[int], Any]] = {
    CATEGORY: lambda number: {"name": f"Vans {number}", "visibility": "public"},
    LISTING: lambda number: {"title": f"Camry {number}", "content": "Red.", "category_id": 1, "visibility": "public"},
    MESSAGE: lambda number: {"to": 2, "message": f"Hello {number}"},
    REPLY: lambda number: {"text": f"Is it there? {number}"},
    **dict.fromkeys(REPORTS, lambda number: {"reason": "other", "text": f"Gone {number}"}),
    WARNING: lambda number: {"reason": f"Spam {number}"},
    **dict.fromkeys(NOTES, lambda number: {"text": f"Two accounts {number}"}),
    SEARCH: lambda number: {"name": f"Mine {number}", "query": {"q": "camry"}},
}
TABLES = {
    CATEGORY: "categories",
    LISTING: "listings",
    MESSAGE: "messages",
    REPLY: "replies",
    **dict.fromkeys(REPORTS, "reports"),
    WARNING: "sanctions",
    **dict.fromkeys(NOTES, "notes"),
    SEARCH: "saved_searches",
    PICTURE: "pictures",
    MESSAGE_PICTURE: "message_pictures",
    UPLOAD: "uploads",
}
JSON_PATHS = list(BODIES)
PATHS = [*JSON_PATHS, *PICTURES, UPLOAD]


async def seller_of(api: Api, rows: Rows) -> Person:
    """Returns a moderator with the id 1, who owns the listing 1 in the category 1; the user 2 owns the listing 2."""
    ann, bob = await api.register("Ann", Role.MODERATOR), await api.register("Bob")
    assert [await rows.listing(seller.id, 1 if seller is bob else None) for seller in (ann, bob)] == [1, 2]
    return ann


async def let_bob_write(rows: Rows) -> None:
    """Give the user 2 the reply 1 and, to the user 1, the message 1: what somebody can report."""
    await rows.execute("INSERT INTO messages (from_id, to_id, text) VALUES (2, 1, 'Hello')")
    await rows.execute("INSERT INTO replies (listing_id, author_id, text) VALUES (1, 2, 'Nice')")


@pytest.fixture
async def ann(api: Api, rows: Rows, request: pytest.FixtureRequest) -> Person:
    ann = await seller_of(api, rows)
    tried = getattr(request.node, "callspec", None)
    if tried is not None and tried.params.get("path") in REPORTS:
        await let_bob_write(rows)
    return ann


def headers_to(path: str, number: int = 1) -> dict[str, str]:
    return {"Upload-Length": str(number + 1), "Upload-Complete": "?0"} if path == UPLOAD else {}


def sent_to(path: str, number: int = 1) -> dict[str, Any]:
    if path in PICTURES:
        # A new form each time: its boundary differs.
        return {"data": FormData({"picture": io.BytesIO(PIXEL + b"\x00" * number)})}
    return {"json": BODIES[path](number)} if path in BODIES else {}


async def post(api: Api, who: Person, path: str, status: int, key: str = KEY, number: int = 1) -> tuple[bytes, Any]:
    """Returns the answer's bytes and headers."""
    headers = {**who.headers, "Idempotency-Key": key, **headers_to(path, number)}
    sent = sent_to(path, number)
    async with api.client.post(path, headers=headers, **sent) as response:
        data = await response.read()
        assert response.status == status, data
        return data, response.headers


async def count(rows: Rows, path: str) -> int:
    [[number]] = await rows.fetch(f"SELECT count(*) FROM {TABLES[path]}")
    return int(number)


def test_everything_that_is_made_under_the_api_by_a_user_is_repeatable() -> None:
    tried = {re.sub("[12]", "{id}", path) for path in TABLES}
    making = {route.path for route in ROUTES if route.method == "POST" and route.status == 201}
    # A seed and recovery codes are secrets: no copy of these answers is kept, and a lost one is asked for anew. A
    # passkey answers a challenge, which counts once, and so does an objection.
    others = {
        *("/api/me/second-factor", "/api/me/second-factor/recovery-codes"),
        *("/api/me/passkeys", "/api/register", "/api/objections"),
    }
    assert making == {*tried, *others}
    assert {route.path for route in ROUTES if route.is_repeatable} == tried


@pytest.mark.parametrize("path", PATHS)
async def test_a_repeated_request_makes_one_thing_and_gets_the_same_bytes(
    api: Api, ann: Person, rows: Rows, path: str
) -> None:
    before = await count(rows, path)
    first, headers = await post(api, ann, path, 201)
    assert "Idempotent-Replayed" not in headers
    again, headers = await post(api, ann, path, 201)
    assert again == first
    assert headers["Idempotent-Replayed"] == "true"
    assert headers["Content-Type"] == "application/json"
    assert await count(rows, path) == before + 1


@pytest.mark.parametrize("path", PATHS)
async def test_the_same_key_with_other_content_is_422_and_makes_nothing(
    api: Api, ann: Person, rows: Rows, path: str
) -> None:
    await post(api, ann, path, 201)
    before = await count(rows, path)
    problem, _ = await post(api, ann, path, 422, number=2)
    assert b"/problems/idempotency-key-reused" in problem
    assert await count(rows, path) == before


async def test_the_same_key_on_another_path_or_with_another_query_is_422(api: Api, ann: Person) -> None:
    await post(api, ann, REPLY, 201)
    await post(api, ann, SEARCH, 422)
    await api.call("POST", f"{REPLY}?x=1", 422, who=ann, json=BODIES[REPLY](1), headers={"Idempotency-Key": KEY})


@pytest.mark.parametrize("path", PATHS)
async def test_of_many_requests_at_once_one_makes_it_and_the_others_repeat_it_or_are_told_to(
    api: Api, ann: Person, rows: Rows, path: str
) -> None:
    before = await count(rows, path)
    seen = set()

    async def one() -> None:
        headers = {**ann.headers, "Idempotency-Key": KEY, **headers_to(path)}
        async with api.client.post(path, headers=headers, **sent_to(path)) as response:
            data = await response.read()
            if response.status == 429 and path in PICTURES:
                return
            if response.status == 409:
                assert b"/problems/idempotency-key-in-use" in data
                assert response.headers["Retry-After"] == "1"
            else:
                assert response.status == 201, data
                seen.add(data)

    await asyncio.gather(*(one() for _ in range(12)))
    assert len(seen) == 1
    assert await count(rows, path) == before + 1
    [[files]] = await rows.fetch("SELECT count(*) FROM abandoned_files WHERE since > now()")
    assert files == 0


async def test_requests_with_keys_do_not_wait_for_each_other_with_few_connections(
    make_api: Callable[..., Awaitable[Api]], rows: Rows
) -> None:
    api = await make_api(database_pool_size=1)
    ann = await seller_of(api, rows)
    await let_bob_write(rows)
    for path in TABLES:
        await asyncio.gather(
            *(post(api, ann, path, 201, f"{path}{n}", n) for n in ([1] if path in REPORTS else range(3)))
        )


async def test_keys_of_two_users_are_independent(api: Api, ann: Person, rows: Rows) -> None:
    eve = await api.register("Eve")
    mine, _ = await post(api, ann, REPLY, 201)
    hers, headers = await post(api, eve, REPLY, 201, number=2)
    assert mine != hers
    assert "Idempotent-Replayed" not in headers


async def test_other_keys_and_requests_without_one_make_things_of_their_own(api: Api, ann: Person, rows: Rows) -> None:
    await post(api, ann, REPLY, 201)
    await post(api, ann, REPLY, 201, key='"another"')
    await api.call("POST", REPLY, 201, who=ann, json=BODIES[REPLY](1))
    await api.call("POST", REPLY, 201, who=ann, json=BODIES[REPLY](1))
    assert await count(rows, REPLY) == 4


async def test_a_request_that_failed_is_carried_out_anew(api: Api, ann: Person, rows: Rows) -> None:
    await rows.execute("UPDATE listings SET created_at = now() - interval '2 years'")
    await post(api, ann, REPLY, 403)
    await rows.execute("UPDATE listings SET created_at = now()")
    await post(api, ann, REPLY, 201)
    # The repeat succeeds although a new reply would be refused.
    await rows.execute("UPDATE listings SET created_at = now() - interval '2 years'")
    await post(api, ann, REPLY, 201)
    await post(api, ann, REPLY, 403, key='"another"')


async def test_a_repeat_is_not_broadcast_again(api: Api, ann: Person, broadcasts: Broadcasts) -> None:
    for _ in range(3):
        await post(api, ann, REPLY, 201)
    await api.call("DELETE", "/api/replies/1", 204, who=ann)
    await post(api, ann, REPLY, 201, key="last", number=9)
    texts = []
    while "Is it there? 9" not in texts:
        await broadcasts.arrived.wait()
        broadcasts.arrived.clear()
        texts = [
            payload["text"] for _, _, payload in broadcasts.seen if isinstance(payload, dict) and "text" in payload
        ]
    assert texts == ["Is it there? 1", "Is it there? 9"]


async def test_whoever_may_no_longer_act_gets_no_repeat(api: Api, ann: Person, rows: Rows) -> None:
    await post(api, ann, REPLY, 201)
    await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", ann.id)
    await post(api, ann, REPLY, 403)
    async with api.client.post(REPLY, json=BODIES[REPLY](1), headers={"Idempotency-Key": KEY}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    "key", ["", '""', '"', '"a', 'a"b', '"a" "b"', '"a", "b"', "a, b", "a b", "ä", '"\\x"', "x" * (MAX_KEY_LENGTH + 1)]
)
async def test_a_key_of_the_wrong_form_is_400_and_makes_nothing(api: Api, ann: Person, rows: Rows, key: str) -> None:
    for path in TABLES:
        before = await count(rows, path)
        problem, _ = await post(api, ann, path, 400, key)
        assert b"Idempotency-Key" in problem
        assert await count(rows, path) == before


async def test_a_key_given_twice_is_400(api: Api, ann: Person) -> None:
    headers = [*ann.headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    async with api.client.post(REPLY, json=BODIES[REPLY](1), headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize("same", [("abc", '"abc"'), ('"a\\"b"', '"a\\"b"'), (" abc ", "abc"), ("x" * 255, "x" * 255)])
async def test_a_key_may_be_written_with_and_without_quotes(api: Api, ann: Person, same: tuple[str, str]) -> None:
    first, _ = await post(api, ann, REPLY, 201, same[0])
    again, _ = await post(api, ann, REPLY, 201, same[1])
    assert again == first


async def test_other_routes_do_not_look_at_the_key(api: Api, ann: Person) -> None:
    for key in (KEY, "", "a b"):
        await api.call("GET", "/api/me", 200, who=ann, headers={"Idempotency-Key": key})
        await api.call("PATCH", "/api/me", 200, who=ann, json={"name": "Ann"}, headers={"Idempotency-Key": key})


async def test_a_message_with_a_key_is_stored_once_even_if_its_answer_was_not_kept(
    api: Api, ann: Person, rows: Rows
) -> None:
    first, _ = await post(api, ann, MESSAGE, 201)
    await rows.execute("DELETE FROM repeatable_requests")
    again, _ = await post(api, ann, MESSAGE, 201)
    assert again == first
    await rows.execute("DELETE FROM repeatable_requests")
    await post(api, ann, MESSAGE, 422, number=2)
    assert await count(rows, MESSAGE) == 1


async def test_keys_are_removed_when_they_are_old_and_their_requests_are_then_new(
    api: Api, ann: Person, rows: Rows
) -> None:
    await post(api, ann, REPLY, 201)
    async with rows.database.transaction() as transaction:
        assert await remove_old_keys(transaction, seconds=86400)
    await post(api, ann, REPLY, 201)
    assert await count(rows, REPLY) == 1
    await rows.execute("UPDATE repeatable_requests SET created_at = now() - interval '25 hours'")
    async with rows.database.transaction() as transaction:
        assert await remove_old_keys(transaction, seconds=86400)
    await post(api, ann, REPLY, 201)
    assert await count(rows, REPLY) == 2


async def test_an_answer_kept_meanwhile_by_another_process_is_the_answer(api: Api, ann: Person, rows: Rows) -> None:
    repeats = RepeatRepository(rows.database)
    request = Repeatable(ann.id, "k", "f")
    await repeats.keep(request, KeptAnswer(201, "{}"))
    with pytest.raises(Exception, match="repeat"):
        await repeats.keep(request, KeptAnswer(201, '{"other": 1}'))


async def test_browsers_of_other_origins_may_send_the_key(make_api: Callable[..., Awaitable[Api]]) -> None:
    api = await make_api(allowed_origins=("https://app.example.com",))
    headers = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "idempotency-key",
    }
    async with api.client.options(REPLY, headers=headers) as response:
        assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"]


async def test_what_was_kept_of_a_person_is_erased_with_the_account(
    api: Api, ann: Person, rows: Rows, settings: Settings
) -> None:
    eve = await api.register("Eve")
    await post(api, eve, REPLY, 201)
    await rows.execute("UPDATE users SET deleted_at = now() - interval '31 days' WHERE id = %s", eve.id)
    database = await Database.connect(settings)
    async with database.transaction() as transaction:
        assert not await erase_some(transaction, after_days=30)
    await database.close()
    assert await rows.fetch("SELECT 1 FROM repeatable_requests") == []
