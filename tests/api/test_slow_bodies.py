"""What a person may no longer do when the body of their request has arrived, though they might when it began."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from shared.access.actor import Actor
from shared.access.admission import Admission
from shared.domain.users import Role
from tests.api.conftest import PASSWORD, Api, Person, checked
from tests.api.rows import Rows
from tests.api.test_conventions import PIXEL


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set whenever the API has looked up who asks."""
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
    known: asyncio.Event,
    path: str,
    status: int,
    meanwhile: Callable[[], Awaitable[Any]],
    *,
    who: Person,
    json: Any = None,
    form: bytes = b"",
) -> Any:
    """POST whose body comes to its end when it is known who sends it, and what happens meanwhile has happened."""
    body = form or msgspec.json.encode(json)
    kind = "multipart/form-data; boundary=part" if form else "application/json"
    go_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1]
        await go_on.wait()
        yield body[1:]

    known.clear()
    headers = {**who.headers, "Content-Type": kind}
    sending = asyncio.create_task(api.client.post(path, data=pieces(), headers=headers))
    try:
        async with asyncio.timeout(10):
            await known.wait()
        await meanwhile()
        go_on.set()
        return await checked(await sending, status)
    finally:
        sending.cancel()


async def test_who_was_banned_meanwhile_does_nothing_more(api: Api, rows: Rows, known: asyncio.Event) -> None:
    admin, someone = await api.register(role=Role.ADMIN), await api.register()
    path = f"/api/listings/{await rows.listing(admin.id)}/replies"

    async def ban() -> None:
        await api.call("PUT", f"/api/users/{someone.id}/ban", 200, who=admin, json={"reason": "Spam"})

    problem = await send_slowly(api, known, path, 403, ban, who=someone, json={"text": "Hello"})
    assert problem["type"] == "/problems/banned"
    assert await rows.fetch("SELECT id FROM replies") == []


async def test_who_logged_out_meanwhile_sends_nothing_more(api: Api, rows: Rows, known: asyncio.Event) -> None:
    someone, other = await api.register(), await api.register()

    async def log_out() -> None:
        await api.call("POST", "/api/logout", 204, who=someone)

    body = {"to": other.id, "message": "Hello"}
    await send_slowly(api, known, "/api/messages", 401, log_out, who=someone, json=body)
    assert await rows.fetch("SELECT id FROM messages") == []


async def test_who_was_a_moderator_is_none_any_more(api: Api, rows: Rows, known: asyncio.Event) -> None:
    admin, someone = await api.register(role=Role.ADMIN), await api.register(role=Role.MODERATOR)

    async def take_the_role() -> None:
        await api.call("PUT", f"/api/users/{someone.id}/role", 200, who=admin, json={"role": "user"})

    await send_slowly(api, known, "/api/categories", 403, take_the_role, who=someone, json={"name": "Vans"})
    assert await rows.fetch("SELECT id FROM categories") == []


async def test_who_left_offers_nothing_more(api: Api, rows: Rows, known: asyncio.Event) -> None:
    someone = await api.register()
    body = {"title": "A car", "content": "It drives.", "category_id": await rows.category()}

    async def leave() -> None:
        await api.call("DELETE", "/api/me", 204, who=someone, json={"current_password": PASSWORD})

    await send_slowly(api, known, "/api/listings", 401, leave, who=someone, json=body)
    assert await rows.fetch("SELECT id FROM listings") == []


async def test_what_was_hidden_meanwhile_is_not_replied_to(api: Api, rows: Rows, known: asyncio.Event) -> None:
    moderator, someone = await api.register(role=Role.MODERATOR), await api.register()
    listing_id = await rows.listing(moderator.id)

    async def hide() -> None:
        await api.call("PUT", f"/api/listings/{listing_id}/hidden", 200, who=moderator)

    await send_slowly(api, known, f"/api/listings/{listing_id}/replies", 404, hide, who=someone, json={"text": "Hello"})
    assert await rows.fetch("SELECT id FROM replies") == []


async def test_who_was_banned_meanwhile_adds_no_picture(api: Api, rows: Rows, known: asyncio.Event) -> None:
    admin, someone = await api.register(role=Role.ADMIN), await api.register()
    listing_id = await rows.listing(someone.id)
    form = b"--part\r\nContent-Disposition: form-data; name=picture\r\n\r\n" + PIXEL + b"\r\n--part--\r\n"

    async def ban() -> None:
        await api.call("PUT", f"/api/users/{someone.id}/ban", 200, who=admin, json={"reason": "Spam"})

    path = f"/api/listings/{listing_id}/pictures"
    problem = await send_slowly(api, known, path, 403, ban, who=someone, form=form)
    assert problem["type"] == "/problems/banned"
    assert await rows.fetch("SELECT id FROM pictures") == []


@pytest.mark.parametrize(("kind", "body"), [("replies", {"text": "Hello"}), ("reports", {"reason": "spam"})])
async def test_what_is_gone_for_good_between_the_look_and_the_insert_is_not_found(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch, kind: str, body: dict[str, str]
) -> None:
    someone = await api.register()
    listing_id = await rows.listing(someone.id)
    repository = {"replies": "ReplyRepository", "reports": "ReportRepository"}[kind]
    name = f"shared.repositories.{kind}.{repository}.create"
    module = __import__(f"shared.repositories.{kind}", fromlist=[repository])
    create = getattr(module, repository).create

    async def too_late(*arguments: Any) -> Any:
        await rows.execute("DELETE FROM listings WHERE id = %s", listing_id)
        return await create(*arguments)

    monkeypatch.setattr(name, too_late)
    await api.call("POST", f"/api/listings/{listing_id}/{kind}", 404, who=someone, json=body)
