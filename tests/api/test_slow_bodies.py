"""Permissions are checked again when a slow body has arrived: a ban or a log-out in between counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from api.services import SERVICES
from shared.access.actor import Actor
from shared.access.admission import Admission
from shared.domain.users import Role
from tests.api.conftest import PASSWORD, Api, Person, checked
from tests.api.rows import Rows
from tests.api.test_conventions import PIXEL
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")


@pytest.fixture
def user_was_looked_up(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """An event that is set whenever the API has looked up the user of a request."""
    looked_up = asyncio.Event()
    admit = Admission.admit

    async def observed(self: Admission, token: str) -> Actor:
        admitted = await admit(self, token)
        looked_up.set()
        return admitted

    monkeypatch.setattr(Admission, "admit", observed)
    return looked_up


async def send_slowly(
    api: Api,
    user_was_looked_up: asyncio.Event,
    path: str,
    status: int,
    meanwhile: Callable[[], Awaitable[Any]],
    *,
    who: Person,
    json: Any = None,
    form: bytes = b"",
) -> Any:
    """POST a body in two parts: the second one is sent when the API has looked up the user and `meanwhile` has run."""
    body = form or msgspec.json.encode(json)
    kind = "multipart/form-data; boundary=part" if form else "application/json"
    go_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1]
        await go_on.wait()
        yield body[1:]

    user_was_looked_up.clear()
    headers = {**who.headers, "Content-Type": kind}
    sending = asyncio.create_task(api.client.post(path, data=pieces(), headers=headers))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await user_was_looked_up.wait()
        await meanwhile()
        go_on.set()
        return await checked(await sending, status)
    finally:
        sending.cancel()


async def test_a_user_banned_during_the_body_cannot_reply(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event
) -> None:
    admin, someone = await api.register(role=Role.ADMIN), await api.register()
    path = f"/api/listings/{await rows.listing(admin.id)}/replies"

    async def ban() -> None:
        await api.call("PUT", f"/api/users/{someone.id}/ban", 200, who=admin, json={"reason": "Spam"})

    problem = await send_slowly(api, user_was_looked_up, path, 403, ban, who=someone, json={"text": "Hello"})
    assert problem["type"] == "/problems/banned"
    assert await rows.fetch("SELECT id FROM replies") == []


async def test_a_user_logged_out_during_the_body_cannot_send_a_message(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event
) -> None:
    someone, other = await api.register(), await api.register()

    async def log_out() -> None:
        await api.call("POST", "/api/logout", 204, who=someone)

    body = {"to": other.id, "message": "Hello"}
    await send_slowly(api, user_was_looked_up, "/api/messages", 401, log_out, who=someone, json=body)
    assert await rows.fetch("SELECT id FROM messages") == []


async def test_a_moderator_who_lost_the_role_during_the_body_cannot_create_a_category(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event
) -> None:
    admin, someone = await api.register(role=Role.ADMIN), await api.register(role=Role.MODERATOR)

    async def take_the_role() -> None:
        await api.call("PUT", f"/api/users/{someone.id}/role", 200, who=admin, json={"role": "user"})

    await send_slowly(
        api, user_was_looked_up, "/api/categories", 403, take_the_role, who=someone, json={"name": "Vans"}
    )
    assert await rows.fetch("SELECT id FROM categories") == []


async def test_a_user_who_left_during_the_body_cannot_create_a_listing(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event
) -> None:
    someone = await api.register()
    body = {"title": "A car", "content": "It drives.", "category_id": await rows.category()}

    async def leave() -> None:
        await api.call("DELETE", "/api/me", 204, who=someone, json={"current_password": PASSWORD})

    await send_slowly(api, user_was_looked_up, "/api/listings", 401, leave, who=someone, json=body)
    assert await rows.fetch("SELECT id FROM listings") == []


@pytest.mark.parametrize("sent", ["a picture", "a reply"])
async def test_a_token_that_ends_during_the_body_was_good_when_the_request_began(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    someone = await api.register()
    path = f"/api/listings/{await rows.listing(someone.id)}"

    async def let_it_end() -> None:
        assert api.client.app is not None
        tokens = api.client.app[SERVICES].tokens
        monkeypatch.setattr(tokens, "_clock", lambda: time.time() + tokens.access_seconds)
        await api.call("GET", "/api/me", 401, who=someone)

    form = b"--part\r\nContent-Disposition: form-data; name=picture\r\n\r\n" + PIXEL + b"\r\n--part--\r\n"
    if sent == "a picture":
        await send_slowly(api, user_was_looked_up, f"{path}/pictures", 201, let_it_end, who=someone, form=form)
    else:
        json = {"text": "Hello"}
        await send_slowly(api, user_was_looked_up, f"{path}/replies", 201, let_it_end, who=someone, json=json)


async def test_a_listing_hidden_during_the_body_takes_no_reply(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event
) -> None:
    moderator, someone = await api.register(role=Role.MODERATOR), await api.register()
    listing_id = await rows.listing(moderator.id)

    async def hide() -> None:
        await api.call("PUT", f"/api/listings/{listing_id}/hidden", 200, who=moderator)

    await send_slowly(
        api, user_was_looked_up, f"/api/listings/{listing_id}/replies", 404, hide, who=someone, json={"text": "Hello"}
    )
    assert await rows.fetch("SELECT id FROM replies") == []


async def test_a_user_banned_during_the_body_cannot_add_a_picture(
    api: Api, rows: Rows, user_was_looked_up: asyncio.Event
) -> None:
    admin, someone = await api.register(role=Role.ADMIN), await api.register()
    listing_id = await rows.listing(someone.id)
    form = b"--part\r\nContent-Disposition: form-data; name=picture\r\n\r\n" + PIXEL + b"\r\n--part--\r\n"

    async def ban() -> None:
        await api.call("PUT", f"/api/users/{someone.id}/ban", 200, who=admin, json={"reason": "Spam"})

    path = f"/api/listings/{listing_id}/pictures"
    problem = await send_slowly(api, user_was_looked_up, path, 403, ban, who=someone, form=form)
    assert problem["type"] == "/problems/banned"
    assert await rows.fetch("SELECT id FROM pictures") == []


@pytest.mark.parametrize(("kind", "body"), [("replies", {"text": "Hello"}), ("reports", {"reason": "spam"})])
async def test_a_listing_deleted_just_before_the_insert_is_404(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch, kind: str, body: dict[str, str]
) -> None:
    someone, seller = await api.register(), await api.register()
    listing_id = await rows.listing(seller.id)
    repository = {"replies": "ReplyRepository", "reports": "ReportRepository"}[kind]
    name = f"shared.repositories.{kind}.{repository}.create"
    module = __import__(f"shared.repositories.{kind}", fromlist=[repository])
    create = getattr(module, repository).create

    async def too_late(*arguments: Any) -> Any:
        await rows.execute("DELETE FROM listings WHERE id = %s", listing_id)
        return await create(*arguments)

    monkeypatch.setattr(name, too_late)
    await api.call("POST", f"/api/listings/{listing_id}/{kind}", 404, who=someone, json=body)
