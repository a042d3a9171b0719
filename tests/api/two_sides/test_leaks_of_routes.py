"""What each route answers to the two sides of a block, and to somebody whose request is open or was declined."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from api.passwords import hash_now
from api.routes import ROUTES
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api
from tests.api.rows import Rows
from tests.api.test_permissions import LISTING, PICTURE, PLACE, TABLE, Somebody, World, body_for
from tests.api.test_pictures import a_jpeg, form

KINDS = ("open", "known", "declined", "blocked", "blocking")
"""Each has written to the owner. The owner has not decided about `open`, has declined `declined`, and has answered the
others; then the owner has blocked `blocked`, and `blocking` has blocked the owner."""
AS = {"declined": "open", "blocked": "known", "blocking": "known"}
"""What each of them is compared with: who is declined or blocked must not learn it from any answer."""

SAME = "same same same"
"""The answers to `declined`, `blocked` and `blocking` are those to the people whom they are compared with, but for ids
and times."""
REFUSED = "same blocked blocking"
"""Where others may write to the owner, the one is told that they are blocked, the other one that they have blocked."""
OWN = "same same own"
"""Whoever has blocked somebody finds that in their own answers."""

LEAKS: Mapping[str, str] = {
    "GET /health/live": SAME,
    "GET /health/ready": SAME,
    "GET /metrics": "any any any",
    "GET /api/openapi.json": "any any any",
    "GET /api/docs": "any any any",
    "POST /api/register": SAME,
    "POST /api/login": SAME,
    "POST /api/password/strength": SAME,
    "POST /api/login/passkey/options": SAME,
    "POST /api/login/passkey": SAME,
    "POST /api/password/forgotten": SAME,
    "POST /api/password/reset": SAME,
    "POST /api/address/confirm": SAME,
    "POST /api/me/address/link": SAME,
    "POST /api/token/refresh": SAME,
    "POST /api/logout": SAME,
    "GET /api/me": SAME,
    "PATCH /api/me": SAME,
    "GET /api/me/sessions": SAME,
    "DELETE /api/me/sessions": SAME,
    "DELETE /api/me/sessions/{session_id}": SAME,
    "GET /api/me/second-factor": SAME,
    "POST /api/me/second-factor": SAME,
    "PUT /api/me/second-factor": SAME,
    "DELETE /api/me/second-factor": SAME,
    "POST /api/me/second-factor/recovery-codes": SAME,
    "GET /api/me/passkeys": SAME,
    "POST /api/me/passkeys/options": SAME,
    "POST /api/me/passkeys": SAME,
    "DELETE /api/me/passkeys/{id}": SAME,
    "GET /api/me/export": OWN,
    "GET /api/me/mail": SAME,
    "PATCH /api/me/mail": SAME,
    "DELETE /api/me": SAME,
    "GET /api/me/push": SAME,
    "POST /api/me/push": SAME,
    "DELETE /api/me/push": SAME,
    "GET /api/me/blocks": OWN,
    "GET /api/sellers/{id}": SAME,
    "GET /api/users": SAME,
    "GET /api/users/{id}": OWN,
    "PUT /api/users/{id}/role": SAME,
    "GET /api/users/{id}/sessions": SAME,
    "DELETE /api/users/{id}/sessions/{session_id}": SAME,
    "PUT /api/users/{id}/ban": SAME,
    "DELETE /api/users/{id}/ban": SAME,
    "DELETE /api/users/{id}/second-factor": SAME,
    "PUT /api/users/{id}/block": SAME,
    "DELETE /api/users/{id}/block": SAME,
    "GET /api/categories": SAME,
    "POST /api/categories": SAME,
    "GET /api/categories/{id}": SAME,
    "PATCH /api/categories/{id}": SAME,
    "DELETE /api/categories/{id}": SAME,
    "GET /api/listings": SAME,
    "GET /api/listings/facets": SAME,
    "POST /api/listings": SAME,
    "GET /api/listings/{id}": SAME,
    "PATCH /api/listings/{id}": SAME,
    "DELETE /api/listings/{id}": SAME,
    "PUT /api/listings/{id}/renewed": SAME,
    "GET /api/suggestions": SAME,
    "PUT /api/listings/{id}/hidden": SAME,
    "DELETE /api/listings/{id}/hidden": SAME,
    "GET /api/vin": SAME,
    "GET /api/trash": SAME,
    "POST /api/trash/{id}/restore": SAME,
    "DELETE /api/trash/{id}": SAME,
    "POST /api/listings/{id}/pictures": SAME,
    "POST /api/listings/{id}/uploads": SAME,
    "GET /api/uploads/{id}": SAME,
    "PATCH /api/uploads/{id}": SAME,
    "DELETE /api/uploads/{id}": SAME,
    "PUT /api/listings/{id}/pictures/order": SAME,
    "DELETE /api/listings/{id}/pictures/{picture_id}": SAME,
    "GET /api/pictures/{id}": SAME,
    "GET /api/pictures/{id}/medium": SAME,
    "GET /api/pictures/{id}/thumbnail": SAME,
    "GET /api/listings/{id}/replies": SAME,
    "POST /api/listings/{id}/replies": REFUSED,
    "DELETE /api/replies/{id}": SAME,
    "GET /api/searches": SAME,
    "POST /api/searches": SAME,
    "PATCH /api/searches/{id}": SAME,
    "DELETE /api/searches/{id}": SAME,
    "GET /api/me/favourites": SAME,
    "PUT /api/listings/{id}/favourite": SAME,
    "DELETE /api/listings/{id}/favourite": SAME,
    "GET /api/alerts": SAME,
    "PUT /api/alerts/seen": SAME,
    "POST /api/listings/{id}/reports": SAME,
    "POST /api/users/{id}/reports": SAME,
    "POST /api/messages/{id}/reports": SAME,
    "POST /api/replies/{id}/reports": SAME,
    "GET /api/reports": SAME,
    "PUT /api/reports/{id}/resolved": SAME,
    "DELETE /api/reports/{id}/resolved": SAME,
    "GET /api/findings": SAME,
    "GET /api/holds": SAME,
    "PUT /api/holds/{id}/decision": SAME,
    "PUT /api/findings/{id}/resolved": SAME,
    "DELETE /api/findings/{id}/resolved": SAME,
    "GET /api/reports/{id}/messages": SAME,
    "GET /api/moderation/queue": SAME,
    "GET /api/moderation/queue/listings/{id}": SAME,
    "GET /api/moderation/queue/people/{id}": SAME,
    "PUT /api/moderation/queue/listings/{id}/resolved": SAME,
    "PUT /api/moderation/queue/people/{id}/resolved": SAME,
    "GET /api/moderation/numbers": SAME,
    "GET /api/users/{id}/sanctions": SAME,
    "POST /api/users/{id}/warnings": SAME,
    "PUT /api/users/{id}/suspension": SAME,
    "DELETE /api/users/{id}/suspension": SAME,
    "GET /api/me/sanctions": SAME,
    "GET /api/me/warnings": SAME,
    "PUT /api/me/warnings/{id}/read": SAME,
    "POST /api/objections": SAME,
    "GET /api/objections": SAME,
    "PUT /api/objections/{id}/decision": SAME,
    "GET /api/users/{id}/notes": SAME,
    "POST /api/users/{id}/notes": SAME,
    "GET /api/listings/{id}/notes": SAME,
    "POST /api/listings/{id}/notes": SAME,
    "DELETE /api/notes/{id}": SAME,
    "GET /api/audit": SAME,
    "POST /api/messages": REFUSED,
    "POST /api/messages/pictures": SAME,
    "GET /api/messages/pictures/{id}": SAME,
    "GET /api/messages/pictures/{id}/medium": SAME,
    "GET /api/messages/pictures/{id}/thumbnail": SAME,
    "DELETE /api/messages/pictures/{id}": SAME,
    "DELETE /api/messages/{id}": SAME,
    "GET /api/messages": SAME,
    "GET /api/conversations": OWN,
    "GET /api/conversations/{user_id}/messages": SAME,
    "PUT /api/conversations/{user_id}/request": SAME,
    "PUT /api/conversations/{user_id}/read": SAME,
}


class Sides(World):
    """Makes an owner and one person of each kind. Messages are between the owner and whoever asks."""

    def __init__(self, rows: Rows, settings: Settings) -> None:
        super().__init__(rows, settings)
        self.asker_id = 0
        self._signed = Tokens(settings.jwt_secrets, 3600)
        self._counted = itertools.count(1)
        self._password = hash_now(PASSWORD)

    async def sides(self) -> dict[str, Somebody]:
        number = next(self._counted)
        names = ("owner", *KINDS)
        emails = [f"{name}-side{number}@example.com" for name in names]
        ids = [
            row[0]
            for row in await self._rows.fetch(
                # Ids that nothing else has.
                """INSERT INTO users (id, name, email, password_hash) OVERRIDING SYSTEM VALUE
                   SELECT %s + n, 'A name', email, %s FROM unnest(%s::text[]) WITH ORDINALITY AS t (email, n)
                   RETURNING id""",
                1_000_000 + 10 * number,
                self._password,
                emails,
            )
        ]
        sides = {
            name: Somebody(one, email, {"Authorization": f"Bearer {self._signed.issue(one, Role.USER, None)}"})
            for name, one, email in zip(names, ids, emails, strict=True)
        }
        owner = sides["owner"].id
        await self._rows.execute(
            """INSERT INTO messages (from_id, to_id, text, is_request)
               SELECT other, %s, 'Hello', true FROM unnest(%s::bigint[]) AS other""",
            owner,
            ids[1:],
        )
        answered = [sides[name].id for name in ("known", "blocked", "blocking")]
        await self._rows.execute(
            "INSERT INTO messages (from_id, to_id, text) SELECT %s, other, 'Yes' FROM unnest(%s::bigint[]) AS other",
            owner,
            answered,
        )
        # The states as the inserts of these messages and the decision would have left them.
        await self._rows.execute(
            """INSERT INTO contacts (user_id, other_id, state, seems_accepted)
               SELECT other, %s, 'accepted', true FROM unnest(%s::bigint[]) AS other""",
            owner,
            ids[1:],
        )
        for name, state in (("open", "open"), ("declined", "declined")):
            sql = "INSERT INTO contacts (user_id, other_id, state, seems_accepted) VALUES (%s, %s, %s, false)"
            await self._rows.execute(sql, owner, sides[name].id, state)
        await self._rows.execute(
            """INSERT INTO contacts (user_id, other_id, state, seems_accepted)
               SELECT %s, other, 'accepted', true FROM unnest(%s::bigint[]) AS other""",
            owner,
            answered,
        )
        await self._rows.execute(
            "INSERT INTO blocks (blocker_id, blocked_id) VALUES (%s, %s), (%s, %s)",
            owner,
            sides["blocked"].id,
            sides["blocking"].id,
            owner,
        )
        return sides

    async def make(self, kind: str, owner: Somebody) -> Any:
        if kind == "somebody":
            return owner.id
        if kind in ("message_to_owner", "held_message_to_owner", "message_of_owner"):
            sides = (owner.id, self.asker_id) if kind == "message_of_owner" else (self.asker_id, owner.id)
            held_at = "now" if kind.startswith("held") else None
            columns = {"from_id": sides[0], "to_id": sides[1], "text": "Pay first.", "held_at": held_at}
            return await self._insert("messages", **columns)
        return await super().make(kind, owner)


WHO = re.compile(r"(^|_)id$|^(from|to|with|by)$")
TIME = re.compile(r"_(at|until)$|^(since|until|at)$")
SECRETS = frozenset({"access_token", "refresh_token", "device_id", "secret", "uri", "qr", "qr_size"})
NUMBER = re.compile(r"\d+")


def without_numbers(found: Any, who: Somebody, key: str = "") -> Any:
    """The value without ids, times and secrets, which differ between two people who are answered the same."""
    if isinstance(found, dict):
        return {name: without_numbers(value, who, name) for name, value in found.items()}
    if isinstance(found, list):
        return [without_numbers(one, who, key) for one in found]
    if found is None or isinstance(found, bool):
        return found
    if key in SECRETS or TIME.search(key):
        return key
    if WHO.search(key):
        return "me" if str(found) == str(who.id) else "another"
    return NUMBER.sub("n", found.replace(who.email, "my address")) if isinstance(found, str) else found


def rows_of(method: str, path: str) -> list[tuple[str, Any]]:
    """The paths and bodies with which the permission table calls the route."""
    called = [(given, body) for lines in TABLE.values() for way, given, body, _ in lines if way == method]
    return [(given, body) for given, body in called if PLACE.sub(r"{\1}", given).partition("?")[0] == path]


def served() -> list[tuple[str, str]]:
    return [(route.method, route.path) for route in ROUTES if route.path.startswith(("/api", "/health", "/metrics"))]


def test_the_table_has_every_route_and_no_other() -> None:
    assert set(LEAKS) == {f"{method} {path}" for method, path in served()}


@pytest.mark.parametrize("part", range(4))
async def test_each_side_is_answered_as_the_table_says(api: Api, rows: Rows, settings: Settings, part: int) -> None:
    world, wrong = Sides(rows, settings), []
    reading = await world.sides()
    for method, path in served()[part::4]:
        row = LEAKS[f"{method} {path}"].split()
        for given, body in rows_of(method, path):
            # Whoever only reads leaves everything as it is for the next one.
            people = reading if method == "GET" else await world.sides()
            owner, is_alike = people["owner"], method == "GET" and "message" not in given
            shared_path = await world.path(given, owner) if is_alike else ""
            answers: dict[str, tuple[int, Any]] = {}
            for kind in KINDS:
                who = people[kind]
                world.asker_id = who.id
                concrete = shared_path or await world.path(given, owner)
                values = {
                    "owner": owner.id,
                    "own email": who.email,
                    "unused": f"unused-{who.id}@example.com",
                    "category": await rows.category() if body is LISTING else 0,
                }
                sent = {"data": form(a_jpeg())} if body == PICTURE else {"json": body_for(body, values)}
                headers = {**who.headers, "If-None-Match": "*"} if "pictures/" in path else who.headers
                async with api.client.request(method, concrete, headers=headers, **sent) as response:
                    text = await response.read()
                is_json = response.content_type.endswith("json")
                answer = msgspec.json.decode(text) if text and is_json else text
                answers[kind] = response.status, without_numbers(answer, who)
            for cell, (kind, other) in zip(row, AS.items(), strict=True):
                found, expected = answers[kind], answers[other]
                match cell:
                    case "any":
                        is_right = True
                    case "same":
                        is_right = found == expected
                    case "own":
                        is_right = found[0] == expected[0] and found != expected
                    case _ if expected[0] >= 400:
                        is_right = found == expected
                    case slug:
                        is_right = found[0] == 403 and found[1]["type"] == f"/problems/{slug}"
                if not is_right:
                    wrong.append(f"{method} {given} as {kind}, not {cell}:\n  {found}\n  {expected}"[:2000])
    assert not wrong, "\n".join(wrong)
