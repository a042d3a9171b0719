"""Calls every route as every kind of person, and compares the status with the table below.

The table says what the product promises; it is not derived from the code. `{id=hidden}` in a path stands for a hidden
listing, which is made anew for each call. Everything that is made belongs to the owner. `blocked` is a user whom the
owner has blocked; `banned` is a user who was banned and still has a token.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from api.passwords import hash_now
from api.routes import ROUTES
from shared.access.policy import GRID, Action
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api
from tests.api.rows import Rows
from tests.api.test_pictures import a_jpeg, form
from tests.support.push_service import PushBrowser

PEOPLE = ("visitor", "user", "owner", "other", "blocked", "banned", "moderator", "admin")

ANYONE = "200 200 200 200 200 200 200 200"
READ = "200 200 200 200 200 403 200 200"
NOT_VISITORS = "404 200 200 200 200 403 200 200"
IF_HIDDEN = "404 404 200 404 404 403 200 200"
NOBODY = "404 404 404 404 404 403 404 404"
USERS = "401 200 200 200 200 403 200 200"
OWNS = "401 404 200 404 404 403 404 404"
MODERATORS = "401 403 403 403 403 403 200 200"
ADMINS = "401 403 403 403 403 403 403 200"

LISTING = {"title": "A car", "content": "It drives.", "category_id": "{category}"}
SUBSCRIPTION = PushBrowser("https://push.example.com/one").body()
"""This API has no key for push messages."""
PICTURE = "a picture"

# method, path, body; visitor user owner other blocked banned moderator admin
TABLE: dict[str, list[tuple[str, str, Any, str]]] = {
    "service": [
        ("GET", "/health/live", None, ANYONE),
        ("GET", "/health/ready", None, ANYONE),
        ("GET", "/metrics", None, ANYONE),
        ("GET", "/api/openapi.json", None, ANYONE),
        ("GET", "/api/docs", None, ANYONE),
    ],
    "accounts": [
        ("POST", "/api/register", {"email": "{unused}", "password": PASSWORD, "name": "New"}, "201 " * 8),
        ("POST", "/api/login", {"email": "{own email}", "password": PASSWORD}, "401 200 200 200 200 403 200 200"),
        ("POST", "/api/password/strength", {"password": PASSWORD}, "200 " * 8),
        ("POST", "/api/token/refresh", {"refresh_token": "x.0.x"}, "401 " * 8),
        ("POST", "/api/password/forgotten", {"email": "{own email}"}, "202 " * 8),
        ("POST", "/api/password/reset", {"token": "x.x", "password": PASSWORD}, "410 " * 8),
        ("POST", "/api/address/confirm", {"token": "x.x"}, "410 " * 8),
        # Their addresses are confirmed already.
        ("POST", "/api/me/address/link", None, "401 409 409 409 409 403 409 409"),
        ("GET", "/api/me", None, USERS),
        ("PATCH", "/api/me", {"name": "Renamed"}, USERS),
        ("DELETE", "/api/me", {"current_password": PASSWORD}, "401 204 204 204 204 403 204 204"),
        ("GET", "/api/me/sessions", None, USERS),
        ("GET", "/api/me/export", None, USERS),
        ("GET", "/api/me/passkeys", None, USERS),
        # The address of this API has no host name.
        ("POST", "/api/me/passkeys/options", {"current_password": PASSWORD}, USERS.replace("200", "409")),
        ("POST", "/api/me/passkeys", {"name": "Phone", "credential": {}}, USERS.replace("200", "422")),
        (
            "DELETE",
            "/api/me/passkeys/{id=passkey}",
            {"current_password": PASSWORD},
            OWNS.replace("200", "204"),
        ),
        ("POST", "/api/login/passkey/options", None, "409 " * 8),
        ("POST", "/api/login/passkey", {"credential": {"id": "x"}}, "401 " * 8),
        ("GET", "/api/me/second-factor", None, USERS),
        ("POST", "/api/me/second-factor", {"current_password": PASSWORD}, USERS.replace("200", "201")),
        ("PUT", "/api/me/second-factor", {"code": "123456"}, USERS.replace("200", "409")),
        (
            "DELETE",
            "/api/me/second-factor",
            {"current_password": PASSWORD, "code": "123456"},
            USERS.replace("200", "409"),
        ),
        (
            "POST",
            "/api/me/second-factor/recovery-codes",
            {"current_password": PASSWORD, "code": "123456"},
            USERS.replace("200", "409"),
        ),
        ("GET", "/api/me/mail", None, USERS),
        ("PATCH", "/api/me/mail", {"kind": "reply", "choice": "never"}, USERS),
        ("DELETE", "/api/me/sessions", None, "401 204 204 204 204 403 204 204"),
        ("DELETE", "/api/me/sessions/{session_id=session}", None, OWNS.replace("200", "204")),
        ("GET", "/api/me/push", None, USERS),
        ("POST", "/api/me/push", SUBSCRIPTION, "401 409 409 409 409 403 409 409"),
        ("DELETE", "/api/me/push", None, "401 204 204 204 204 403 204 204"),
        ("POST", "/api/logout", None, "401 204 204 204 204 403 204 204"),
    ],
    "users": [
        ("GET", "/api/me/blocks", None, USERS),
        ("GET", "/api/users", None, ADMINS),
        ("GET", "/api/sellers/{id=seller}", None, READ),
        ("GET", "/api/sellers/{id=somebody}", None, NOT_VISITORS),
        ("GET", "/api/users/{id=somebody}", None, USERS),
        ("PUT", "/api/users/{id=somebody}/role", {"role": "moderator"}, ADMINS),
        ("PUT", "/api/users/{id=somebody}/ban", {"reason": "fraud"}, ADMINS),
        ("DELETE", "/api/users/{id=somebody}/ban", None, "401 403 403 403 403 403 403 204"),
        ("DELETE", "/api/users/{id=somebody}/second-factor", None, ADMINS.replace("200", "204")),
        ("GET", "/api/users/{id=somebody}/sessions", None, ADMINS),
        ("DELETE", "/api/users/{id=somebody}/sessions/{session_id=session}", None, ADMINS.replace("200", "404")),
        ("PUT", "/api/users/{id=somebody}/block", None, USERS),
        ("DELETE", "/api/users/{id=somebody}/block", None, "401 204 204 204 204 403 204 204"),
    ],
    "messages": [
        ("POST", "/api/messages", {"to": "{owner}", "message": "Hi"}, "401 201 201 201 403 403 201 201"),
        ("GET", "/api/messages", None, USERS),
        # Each side deletes what they wrote; nobody else knows of it.
        ("DELETE", "/api/messages/{id=message_of_owner}", None, OWNS.replace("200", "204")),
        ("DELETE", "/api/messages/{id=message_to_owner}", None, OWNS.replace("200", "403")),
        ("DELETE", "/api/messages/{id=held_message_to_owner}", None, NOBODY.replace("404", "401", 1)),
        ("GET", "/api/conversations", None, USERS),
        ("GET", "/api/conversations/{user_id=owner}/messages", None, USERS),
        (
            "PUT",
            "/api/conversations/{user_id=owner}/request",
            {"state": "accepted"},
            "401 404 404 404 404 403 404 404",
        ),
        ("PUT", "/api/conversations/{user_id=owner}/read", {"up_to": 1}, "401 204 204 204 204 403 204 204"),
    ],
    "categories": [
        ("GET", "/api/categories", None, READ),
        ("GET", "/api/categories/{id=category}", None, READ),
        ("GET", "/api/categories/{id=private_category}", None, NOT_VISITORS),
        ("POST", "/api/categories", {"name": "{unused}", "visibility": "public"}, MODERATORS.replace("200", "201")),
        ("PATCH", "/api/categories/{id=category}", {"name": "{unused}"}, MODERATORS),
        ("DELETE", "/api/categories/{id=category}", None, MODERATORS.replace("200", "204")),
    ],
    "listings": [
        ("GET", "/api/listings", None, READ),
        ("GET", "/api/suggestions?q=to", None, READ),
        ("GET", "/api/listings/facets", None, READ),
        ("GET", "/api/listings/facets?hidden=true", None, MODERATORS),
        ("GET", "/api/listings/facets?vin=1HGCM82633A004352", None, USERS),
        ("GET", "/api/listings?vin=1HGCM82633A004352", None, USERS),
        ("GET", "/api/vin?vin=1HGCM82633A004352", None, USERS),
        ("POST", "/api/listings", LISTING, "401 201 201 201 201 403 201 201"),
        ("GET", "/api/listings/{id=public}", None, READ),
        ("GET", "/api/listings/{id=private}", None, NOT_VISITORS),
        ("GET", "/api/listings/{id=in_private_category}", None, NOT_VISITORS),
        ("GET", "/api/listings/{id=hidden}", None, IF_HIDDEN),
        ("GET", "/api/listings/{id=no_longer_hidden}", None, READ),
        ("GET", "/api/listings/{id=trashed}", None, NOBODY),
        ("GET", "/api/listings/{id=ended}", None, IF_HIDDEN),
        ("PATCH", "/api/listings/{id=ended}", {"title": "New"}, "401 404 200 404 404 403 403 200"),
        ("DELETE", "/api/listings/{id=ended}", None, "401 404 204 404 404 403 403 204"),
        ("PUT", "/api/listings/{id=public}/renewed", None, "401 403 200 403 403 403 403 403"),
        ("PUT", "/api/listings/{id=hidden}/renewed", None, "401 404 200 404 404 403 403 403"),
        ("PUT", "/api/listings/{id=ended}/renewed", None, "401 404 200 404 404 403 403 403"),
        ("PUT", "/api/listings/{id=trashed}/renewed", None, "401 404 404 404 404 403 404 404"),
        ("PATCH", "/api/listings/{id=public}", {"title": "New"}, "401 403 200 403 403 403 403 200"),
        ("PATCH", "/api/listings/{id=private}", {"title": "New"}, "401 403 200 403 403 403 403 200"),
        ("PATCH", "/api/listings/{id=hidden}", {"title": "New"}, "401 404 200 404 404 403 403 200"),
        ("PATCH", "/api/listings/{id=trashed}", {"title": "New"}, "401 404 404 404 404 403 404 404"),
        ("DELETE", "/api/listings/{id=public}", None, "401 403 204 403 403 403 403 204"),
        ("DELETE", "/api/listings/{id=hidden}", None, "401 404 204 404 404 403 403 204"),
        ("DELETE", "/api/listings/{id=trashed}", None, "401 404 404 404 404 403 404 404"),
    ],
    "moderation": [
        ("PUT", "/api/listings/{id=public}/hidden", {"reason": "spam"}, MODERATORS),
        ("PUT", "/api/listings/{id=hidden}/hidden", {}, MODERATORS),
        ("PUT", "/api/listings/{id=trashed}/hidden", {}, MODERATORS.replace("200", "404")),
        ("DELETE", "/api/listings/{id=hidden}/hidden", None, MODERATORS.replace("200", "204")),
        ("GET", "/api/trash", None, USERS),
        ("GET", "/api/trash?own=true", None, USERS),
        ("POST", "/api/trash/{id=trashed}/restore", {}, "401 404 404 404 404 403 200 200"),
        ("POST", "/api/trash/{id=trashed_by_owner}/restore", {}, "401 404 200 404 404 403 200 200"),
        ("POST", "/api/trash/{id=trashed_long_ago}/restore", {}, "401 404 404 404 404 403 200 200"),
        ("POST", "/api/trash/{id=public}/restore", {}, USERS.replace("200", "404")),
        ("DELETE", "/api/trash/{id=trashed}", None, ADMINS.replace("200", "204")),
        ("DELETE", "/api/trash/{id=public}", None, ADMINS.replace("200", "404")),
        ("GET", "/api/reports", None, MODERATORS),
        ("PUT", "/api/reports/{id=report}/resolved", None, MODERATORS),
        ("DELETE", "/api/reports/{id=report}/resolved", None, MODERATORS),
        ("GET", "/api/findings", None, MODERATORS),
        ("PUT", "/api/findings/{id=finding}/resolved", None, MODERATORS),
        ("DELETE", "/api/findings/{id=finding}/resolved", None, MODERATORS),
        ("GET", "/api/holds", None, MODERATORS),
        ("PUT", "/api/holds/{id=hold}/decision", {"decision": "let_go"}, MODERATORS),
        ("PUT", "/api/holds/{id=hold}/decision", {"decision": "kept"}, MODERATORS),
        ("PUT", "/api/holds/{id=hold}/decision", {"decision": "let_go", "up_to": 1}, MODERATORS),
        ("GET", "/api/reports/{id=message_report}/messages", None, MODERATORS),
        ("GET", "/api/reports/{id=report}/messages", None, MODERATORS.replace("200", "404")),
        ("GET", "/api/moderation/queue", None, MODERATORS),
        ("GET", "/api/moderation/queue/listings/{id=reported}", None, MODERATORS),
        ("GET", "/api/moderation/queue/listings/{id=public}", None, MODERATORS.replace("200", "404")),
        ("GET", "/api/moderation/queue/people/{id=reported_person}", None, MODERATORS),
        ("GET", "/api/moderation/queue/people/{id=somebody}", None, MODERATORS.replace("200", "404")),
        ("PUT", "/api/moderation/queue/listings/{id=reported}/resolved", {"up_to": "2100-01-01T00:00:00Z"}, MODERATORS),
        ("PUT", "/api/moderation/queue/people/{id=owner}/resolved", {"up_to": "2100-01-01T00:00:00Z"}, MODERATORS),
        ("GET", "/api/moderation/numbers", None, MODERATORS),
        ("GET", "/api/audit", None, ADMINS),
    ],
    "sanctions": [
        ("GET", "/api/users/{id=somebody}/sanctions", None, MODERATORS),
        ("POST", "/api/users/{id=somebody}/warnings", {"reason": "spam"}, MODERATORS.replace("200", "201")),
        ("PUT", "/api/users/{id=somebody}/suspension", {"reason": "spam", "days": 7}, MODERATORS),
        # Only admins sanction staff.
        ("POST", "/api/users/{id=staff}/warnings", {"reason": "spam"}, ADMINS.replace("200", "201")),
        ("PUT", "/api/users/{id=staff}/suspension", {"reason": "spam", "days": 7}, ADMINS),
        ("DELETE", "/api/users/{id=somebody}/suspension", None, MODERATORS.replace("200", "204")),
        ("GET", "/api/me/sanctions", None, USERS),
        ("GET", "/api/me/warnings", None, USERS),
        ("PUT", "/api/me/warnings/{id=warning}/read", None, OWNS.replace("200", "204")),
        # Whoever has the token of a sanction may object, without being let in.
        ("POST", "/api/objections", {"token": "x.x", "text": "No"}, "410 " * 8),
        ("GET", "/api/objections", None, MODERATORS),
        ("PUT", "/api/objections/{id=objection}/decision", {"outcome": "kept", "answer": "No"}, MODERATORS),
        ("PUT", "/api/objections/{id=objection_to_ban}/decision", {"outcome": "kept", "answer": "No"}, ADMINS),
        (
            "PUT",
            "/api/objections/{id=warning}/decision",
            {"outcome": "kept", "answer": "No"},
            MODERATORS.replace("200", "404"),
        ),
        ("GET", "/api/users/{id=somebody}/notes", None, MODERATORS),
        ("POST", "/api/users/{id=somebody}/notes", {"text": "Hm"}, MODERATORS.replace("200", "201")),
        ("GET", "/api/listings/{id=public}/notes", None, MODERATORS),
        ("GET", "/api/listings/{id=hidden}/notes", None, MODERATORS),
        ("GET", "/api/listings/{id=trashed}/notes", None, MODERATORS.replace("200", "404")),
        ("POST", "/api/listings/{id=hidden}/notes", {"text": "Hm"}, MODERATORS.replace("200", "201")),
        # Moderators delete their own notes, and this is the owner's.
        ("DELETE", "/api/notes/{id=note}", None, ADMINS.replace("200", "204")),
    ],
    "replies and reports": [
        ("GET", "/api/listings/{id=public}/replies", None, READ),
        ("GET", "/api/listings/{id=private}/replies", None, NOT_VISITORS),
        ("GET", "/api/listings/{id=in_private_category}/replies", None, NOT_VISITORS),
        ("GET", "/api/listings/{id=hidden}/replies", None, IF_HIDDEN),
        ("GET", "/api/listings/{id=ended}/replies", None, IF_HIDDEN),
        ("POST", "/api/listings/{id=ended}/replies", {"text": "Hi"}, "401 404 201 404 404 403 201 201"),
        ("POST", "/api/listings/{id=ended}/reports", {"reason": "spam"}, "401 404 409 404 404 403 201 201"),
        ("GET", "/api/listings/{id=trashed}/replies", None, NOBODY),
        ("POST", "/api/listings/{id=public}/replies", {"text": "Hi"}, "401 201 201 201 403 403 201 201"),
        ("POST", "/api/listings/{id=hidden}/replies", {"text": "Hi"}, "401 404 201 404 404 403 201 201"),
        ("POST", "/api/listings/{id=old}/replies", {"text": "Hi"}, "401 403 403 403 403 403 403 403"),
        ("POST", "/api/listings/{id=trashed}/replies", {"text": "Hi"}, "401 404 404 404 404 403 404 404"),
        ("DELETE", "/api/replies/{id=reply}", None, "401 403 204 403 403 403 403 204"),
        ("DELETE", "/api/replies/{id=reply_to_hidden}", None, "401 404 204 404 404 403 403 204"),
        ("POST", "/api/listings/{id=public}/reports", {"reason": "spam"}, "401 201 409 201 201 403 201 201"),
        # Nobody can report themselves, and a message only its recipient.
        ("POST", "/api/users/{id=owner}/reports", {"reason": "spam"}, "401 201 409 201 201 403 201 201"),
        ("POST", "/api/messages/{id=message_to_owner}/reports", {"reason": "spam"}, OWNS.replace("200", "201")),
        ("POST", "/api/replies/{id=reply}/reports", {"reason": "spam"}, "401 201 409 201 201 403 201 201"),
        ("POST", "/api/replies/{id=reply_to_hidden}/reports", {"reason": "spam"}, "401 404 409 404 404 403 201 201"),
        ("POST", "/api/listings/{id=hidden}/reports", {"reason": "spam"}, "401 404 409 404 404 403 201 201"),
    ],
    "what buyers hear of": [
        ("GET", "/api/searches", None, USERS),
        ("POST", "/api/searches", {"name": "Mine", "query": {}}, USERS.replace("200", "201")),
        ("POST", "/api/searches", {"name": "Mine", "query": {"hidden": "true"}}, MODERATORS.replace("200", "201")),
        ("PATCH", "/api/searches/{id=search}", {"name": "New"}, OWNS),
        ("PATCH", "/api/searches/{id=search}", {"query": {"q": "car"}}, OWNS),
        ("DELETE", "/api/searches/{id=search}", None, OWNS.replace("200", "204")),
        ("GET", "/api/me/favourites", None, USERS),
        ("PUT", "/api/listings/{id=public}/favourite", None, "401 204 409 204 204 403 204 204"),
        ("PUT", "/api/listings/{id=private}/favourite", None, "401 204 409 204 204 403 204 204"),
        ("PUT", "/api/listings/{id=hidden}/favourite", None, "401 404 409 404 404 403 204 204"),
        ("PUT", "/api/listings/{id=ended}/favourite", None, "401 404 409 404 404 403 204 204"),
        ("PUT", "/api/listings/{id=trashed}/favourite", None, "401 404 404 404 404 403 404 404"),
        ("DELETE", "/api/listings/{id=public}/favourite", None, USERS.replace("200", "204")),
        ("DELETE", "/api/listings/{id=hidden}/favourite", None, USERS.replace("200", "204")),
        ("DELETE", "/api/listings/{id=trashed}/favourite", None, USERS.replace("200", "204")),
        ("GET", "/api/alerts", None, USERS),
        ("PUT", "/api/alerts/seen", {"up_to": 1}, USERS),
    ],
    "pictures": [
        ("POST", "/api/listings/{id=public}/pictures", PICTURE, "401 403 201 403 403 403 403 201"),
        ("POST", "/api/listings/{id=hidden}/pictures", PICTURE, "401 404 201 404 404 403 403 201"),
        # The headers are missing: whoever may begin an upload gets 400.
        ("POST", "/api/listings/{id=public}/uploads", None, "401 403 400 403 403 403 403 400"),
        ("POST", "/api/listings/{id=hidden}/uploads", None, "401 404 400 404 404 403 403 400"),
        ("POST", "/api/listings/{id=trashed}/uploads", None, "401 404 404 404 404 403 404 404"),
        ("GET", "/api/uploads/{id=upload}", None, OWNS),
        ("PATCH", "/api/uploads/{id=upload}", {}, OWNS.replace("200", "415")),
        ("DELETE", "/api/uploads/{id=upload}", None, OWNS.replace("200", "204")),
        ("GET", "/api/uploads/{id=upload_to_trashed}", None, NOBODY.replace("404", "401", 1)),
        (
            "DELETE",
            "/api/listings/{id=its_listing}/pictures/{picture_id=picture}",
            None,
            "401 403 204 403 403 403 403 204",
        ),
        (
            "PUT",
            "/api/listings/{id=public}/pictures/order",
            {"pictures": []},
            "401 403 200 403 403 403 403 200",
        ),
        (
            "PUT",
            "/api/listings/{id=hidden}/pictures/order",
            {"pictures": []},
            "401 404 200 404 404 403 403 200",
        ),
        ("GET", "/api/pictures/{id=picture}", None, READ),
        ("GET", "/api/pictures/{id=picture}/medium", None, READ),
        ("GET", "/api/pictures/{id=picture}/thumbnail", None, READ),
        ("GET", "/api/pictures/{id=private_picture}", None, NOT_VISITORS),
        ("GET", "/api/pictures/{id=hidden_picture}", None, IF_HIDDEN),
        ("GET", "/api/pictures/{id=ended_picture}", None, IF_HIDDEN),
        ("GET", "/api/pictures/{id=hidden_picture}/medium", None, IF_HIDDEN),
        ("GET", "/api/pictures/{id=hidden_picture}/thumbnail", None, IF_HIDDEN),
        # Whoever sees a listing in the trash sees its pictures.
        ("GET", "/api/pictures/{id=trashed_picture}", None, "404 404 404 404 404 403 200 200"),
        ("GET", "/api/pictures/{id=picture_trashed_by_owner}", None, "404 404 200 404 404 403 200 200"),
        ("GET", "/api/pictures/{id=picture_trashed_long_ago}/thumbnail", None, "404 404 404 404 404 403 200 200"),
        ("POST", "/api/messages/pictures", PICTURE, USERS.replace("200", "201")),
        # Those of a message are for its two sides, and for moderators if it was reported.
        *(
            ("GET", f"/api/messages/pictures/{{id={kind}}}{size}", None, statuses)
            for kind, statuses in (
                ("message_picture", OWNS),
                ("sent_message_picture", OWNS),
                ("unsent_picture", OWNS),
                ("held_message_picture", NOBODY.replace("404", "401", 1)),
                ("waiting_message_picture", "401 404 404 404 404 403 200 200"),
                ("reported_message_picture", OWNS.replace("403 404 404", "403 200 200")),
                ("kept_message_picture", "401 404 404 404 404 403 200 200"),
            )
            for size in ("", "/medium", "/thumbnail")
        ),
        ("DELETE", "/api/messages/pictures/{id=unsent_picture}", None, OWNS.replace("200", "204")),
        ("DELETE", "/api/messages/pictures/{id=sent_message_picture}", None, NOBODY.replace("404", "401", 1)),
    ],
}

LISTED: dict[str, set[str]] = {
    "visitor": {"public", "no_longer_hidden"},
    "user": {"public", "no_longer_hidden", "private", "in_private_category"},
    "owner": {"public", "no_longer_hidden", "private", "in_private_category", "hidden"},
    "other": {"public", "no_longer_hidden", "private", "in_private_category"},
    "blocked": {"public", "no_longer_hidden", "private", "in_private_category"},
    "moderator": {"public", "no_longer_hidden", "private", "in_private_category", "hidden"},
    "admin": {"public", "no_longer_hidden", "private", "in_private_category", "hidden"},
}
"""Which kinds of listings each person sees in a list."""

PLACE = re.compile(r"\{(\w+)=(\w+)\}")


@dataclass(frozen=True)
class Somebody:
    id: int
    email: str
    headers: Mapping[str, str]


class World:
    """Makes one person of each kind, and things that belong to the owner."""

    def __init__(self, rows: Rows, settings: Settings) -> None:
        self._rows = rows
        self._tokens = Tokens(settings.jwt_secrets, 3600)
        self._numbers = itertools.count(1)
        self._hash = hash_now(PASSWORD)

    async def people(self) -> dict[str, Somebody]:
        number = next(self._numbers)
        people = {"visitor": Somebody(0, f"nobody{number}@example.com", {})}
        for name in PEOPLE[1:]:
            role = Role(name) if name in ("moderator", "admin") else Role.USER
            email = f"{name}{number}@example.com"
            [[user_id]] = await self._rows.fetch(
                "INSERT INTO users (name, email, password_hash, role, banned_at, ban_reason)"
                f" VALUES (%s, %s, %s, %s, {'now()' if name == 'banned' else 'NULL'}, 'fraud') RETURNING id",
                name,
                email,
                self._hash,
                role.value,
            )
            token = self._tokens.issue(user_id, role, None)
            people[name] = Somebody(user_id, email, {"Authorization": f"Bearer {token}"})
        await self._rows.execute(
            "INSERT INTO blocks (blocker_id, blocked_id) VALUES (%s, %s)", people["owner"].id, people["blocked"].id
        )
        return people

    async def make(self, kind: str, owner: Somebody) -> Any:
        """Make a new thing of this kind, and return its id."""
        rows = self._rows
        match kind:
            case "owner":
                return owner.id
            case "seller":
                await self.make("public", owner)
                return owner.id
            case "somebody":
                return (await self.people())["user"].id
            case "category":
                return await rows.category()
            case "private_category":
                return await rows.category("private")
            case "public":
                return await rows.listing(owner.id)
            case "private":
                return await rows.listing(owner.id, visibility="private")
            case "in_private_category":
                return await rows.listing(owner.id, await rows.category("private"))
            case "hidden":
                return await rows.listing(owner.id, hidden_at="now()")
            case "no_longer_hidden":
                return await rows.listing(owner.id, hidden_at="now() - interval '2 s'", hidden_until="now()")
            case "ended":
                return await rows.listing(owner.id, expires_at="now()")
            case "trashed_by_owner":
                return await rows.listing(owner.id, trashed_at="now()", trashed_by=owner.id)
            case "trashed_long_ago":
                return await rows.listing(owner.id, trashed_at="now() - interval '31 days'", trashed_by=owner.id)
            case "trashed":
                return await rows.listing(owner.id, trashed_at="now()")
            case "old":
                return await rows.listing(owner.id, created_at="now() - interval '13 months'")
            case "reply" | "reply_to_hidden":
                listing_id = await self.make("public" if kind == "reply" else "hidden", owner)
                return await self._insert("replies", listing_id=listing_id, author_id=owner.id, text="Hi")
            case "message_to_owner" | "held_message_to_owner" | "message_of_owner":
                other = (await self.people())["user"]
                sides = (owner.id, other.id) if kind == "message_of_owner" else (other.id, owner.id)
                held_at = "now" if kind.startswith("held") else None
                columns = {"from_id": sides[0], "to_id": sides[1], "text": "Pay first.", "held_at": held_at}
                return await self._insert("messages", **columns)
            case "unsent_picture":
                return await self._message_picture(owner.id, None)
            case "sent_message_picture":
                return await self._message_picture(owner.id, await self.make("message_of_owner", owner))
            case (
                "message_picture"
                | "held_message_picture"
                | "waiting_message_picture"
                | "reported_message_picture"
                | "kept_message_picture"
            ):
                prefix = "held_" if kind.startswith(("held", "waiting")) else ""
                message_id = await self.make(f"{prefix}message_to_owner", owner)
                [[sender_id]] = await rows.fetch("SELECT from_id FROM messages WHERE id = %s", message_id)
                if kind.startswith("waiting"):
                    await rows.execute("UPDATE holds SET decided_at = now() WHERE user_id = %s", sender_id)
                    hold_id = await self._insert("holds", user_id=sender_id)
                    await rows.execute(
                        "INSERT INTO held_messages (message_id, hold_id, from_id, to_id) VALUES (%s, %s, %s, %s)",
                        *(message_id, hold_id, sender_id, owner.id),
                    )
                if kind.startswith(("reported", "kept")):
                    report = {"user_id": sender_id, "message_id": message_id, "reporter_id": owner.id, "reason": "spam"}
                    await self._insert("reports", **report)
                return await self._message_picture(sender_id, message_id, is_of_deleted=kind.startswith("kept"))
            case "reported":
                [[listing_id]] = await rows.fetch(
                    "SELECT listing_id FROM reports WHERE id = %s", await self.make("report", owner)
                )
                return listing_id
            case "reported_person":
                await self.make("message_report", owner)
                return owner.id
            case "message_report":
                sent = await self.make("message_of_owner", owner)
                [[reporter_id]] = await rows.fetch("SELECT to_id FROM messages WHERE id = %s", sent)
                about = {"user_id": owner.id, "message_id": sent, "quote": "Pay first."}
                return await self._insert("reports", reporter_id=reporter_id, reason="spam", **about)
            case "passkey":
                key = {"credential_id": secrets.token_urlsafe(9), "public_key": "k", "sign_count": 0, "name": "Phone"}
                return await self._insert("passkeys", user_id=owner.id, **key)
            case "session":
                columns = {"id": secrets.token_urlsafe(9), "user_id": owner.id, "expires_at": "tomorrow"}
                await self._insert("sessions", **columns)
                return columns["id"]
            case "staff":
                return (await self.people())["moderator"].id
            case "warning":
                return await self._insert("sanctions", kind="warning", user_id=owner.id, reason="spam")
            case "objection" | "objection_to_ban":
                columns = {"user_id": owner.id, "objection": "No", "objected_at": "now"}
                return await self._insert("sanctions", kind="ban" if "ban" in kind else "warning", **columns)
            case "note":
                return await self._insert("notes", user_id=owner.id, author_id=owner.id, text="Hm")
            case "search":
                columns = {"user_id": owner.id, "name": "Mine", "query": "{}", "words_at": "now"}
                return await self._insert("saved_searches", **columns)
            case "finding":
                two = {
                    "listing_id": await self.make("public", owner),
                    "other_listing_id": await rows.listing((await self.people())["user"].id),
                }
                return await self._insert("findings", kind="same_vin", user_id=owner.id, **two)
            case "hold":
                # A person has one that is open.
                await rows.execute("UPDATE holds SET decided_at = now() WHERE user_id = %s", owner.id)
                return await self._insert("holds", user_id=owner.id)
            case "report":
                listing_id = await self.make("public", owner)
                return await self._insert("reports", listing_id=listing_id, reporter_id=owner.id, reason="spam")
            case "upload" | "upload_to_trashed":
                listing_id = await self.make("trashed" if kind.endswith("trashed") else "public", owner)
                until = {"expires_at": "tomorrow"}
                return await self._insert("uploads", user_id=owner.id, listing_id=listing_id, length=9, **until)
            case "picture" | "private_picture" | "hidden_picture" | "ended_picture" | "trashed_picture":
                listing_id = await self.make({"picture": "public"}.get(kind, kind.partition("_")[0]), owner)
                return await self._picture(listing_id)
            case "picture_trashed_by_owner" | "picture_trashed_long_ago":
                return await self._picture(await self.make(kind.removeprefix("picture_"), owner))
        raise AssertionError(f"no such kind: {kind}")

    async def path(self, path: str, owner: Somebody) -> str:
        """The path, with the id of a new thing for each placeholder."""
        made: dict[str, Any] = {}
        # From the last to the first: making a picture makes its listing.
        for _, kind in reversed(PLACE.findall(path)):
            made[kind] = made["its_listing"] if kind == "its_listing" else await self.make(kind, owner)
            if kind == "picture":
                [[made["its_listing"]]] = await self._rows.fetch(
                    "SELECT listing_id FROM pictures WHERE id = %s", made[kind]
                )
        return PLACE.sub(lambda place: str(made[place[2]]), path)

    async def _picture(self, listing_id: int) -> int:
        return await self._insert("pictures", listing_id=listing_id, **_files())

    async def _message_picture(self, owner_id: int, message_id: int | None, **more: Any) -> int:
        widths = {"medium_width": 1, "thumbnail_width": 1}
        return await self._insert(
            "message_pictures", owner_id=owner_id, message_id=message_id, **_files(), **widths, **more
        )

    async def _insert(self, table: str, **columns: Any) -> int:
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) RETURNING id"
        [[row_id]] = await self._rows.fetch(sql, *columns.values())
        return int(row_id) if isinstance(row_id, int) else 0


def _files() -> dict[str, Any]:
    """A picture without files: the API answers 304 from the row, before it looks for a file."""
    files = {"key": _key(), "content_type": "image/jpeg", "size": 1, "width": 1, "height": 1}
    thumbnail = {"thumbnail_key": _key(), "thumbnail_content_type": "image/webp", "thumbnail_size": 1}
    medium = {"medium_key": _key(), "medium_content_type": "image/webp", "medium_size": 1}
    return {**files, **thumbnail, **medium}


def _key() -> str:
    return f"ab/{secrets.token_hex(20)}.jpg"


def body_for(given: Any, values: Mapping[str, Any]) -> Any:
    """The body, with a value for each placeholder."""
    if not isinstance(given, dict):
        return given
    return {
        name: values[value[1:-1]] if isinstance(value, str) and value.startswith("{") else value
        for name, value in given.items()
    }


@pytest.mark.parametrize("section", TABLE)
async def test_each_person_gets_the_status_of_the_table(api: Api, rows: Rows, settings: Settings, section: str) -> None:
    world, wrong = World(rows, settings), []
    for method, path, body, statuses in TABLE[section]:
        people = await world.people()
        assert len(statuses.split()) == len(PEOPLE), path
        for name, status in zip(PEOPLE, statuses.split(), strict=True):
            who = people[name]
            concrete = await world.path(path, people["owner"])
            values = {
                "owner": people["owner"].id,
                "own email": who.email,
                "unused": f"unused-{secrets.token_hex(4)}@example.com",
                "category": await world.make("category", people["owner"]) if body is LISTING else 0,
            }
            options: dict[str, Any] = {"data": form(a_jpeg())} if body is PICTURE else {"json": body_for(body, values)}
            headers = {**who.headers, "If-None-Match": "*"} if "pictures/" in path else who.headers
            response = await api.client.request(method, concrete, headers=headers, **options)
            found = 200 if response.status == 304 else response.status
            if found != int(status):
                wrong.append(f"{method} {path} as {name}: {found}, not {status}: {(await response.text())[:150]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("query", ["", "&q=car", "&sort=price", "&category_id={category}", "&seller_id={owner}"])
async def test_lists_and_their_pages_have_only_listings_that_the_person_may_see(
    api: Api, rows: Rows, settings: Settings, query: str
) -> None:
    world = World(rows, settings)
    people = await world.people()
    owner_id, category_id = people["owner"].id, await rows.category()
    kinds = {
        await rows.listing(owner_id, category_id): "public",
        await rows.listing(owner_id, category_id, visibility="private"): "private",
        await rows.listing(owner_id, category_id, hidden_at="now()"): "hidden",
        await rows.listing(owner_id, category_id, hidden_at="now()", hidden_until="now()"): "no_longer_hidden",
        await rows.listing(owner_id, category_id, trashed_at="now()"): "trashed",
        await rows.listing(owner_id, category_id, expires_at="now()"): "ended",
        await rows.listing(owner_id, await rows.category("private")): "in_private_category",
    }
    wanted = query.format(category=category_id, owner=owner_id)
    for name, shown in LISTED.items():
        seen: list[str] = []
        path: str | None = f"/api/listings?limit=1{wanted}"
        while path is not None:
            answer = await api.call("GET", path, 200, headers=people[name].headers)
            seen += [kinds[listing["id"]] for listing in answer["data"]]
            cursor = answer["next_cursor"]
            path = None if cursor is None else f"/api/listings?limit=1{wanted}&cursor={cursor}"
        expected = shown - {"in_private_category"} if "category_id" in query else shown
        assert sorted(seen) == sorted(expected), name


def test_the_table_has_every_route() -> None:
    lines = [line for rows in TABLE.values() for line in rows]
    tabled = {(method, PLACE.sub(r"{\1}", path).partition("?")[0]) for method, path, _, _ in lines}
    served = {(route.method, route.path) for route in ROUTES if route.path.startswith(("/api", "/health", "/metrics"))}
    assert tabled == served


def test_every_action_has_a_row_in_the_policy_and_is_used() -> None:
    assert set(GRID) == set(Action)
    used = {route.action for route in ROUTES}
    # Public routes check these when they look at a listing or a category.
    inner = {Action.LISTING_READ_HIDDEN, Action.LISTING_READ_PRIVATE, Action.CATEGORY_READ_PRIVATE}
    assert used | inner == set(Action)
