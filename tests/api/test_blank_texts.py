"""A text that shows nothing counts as blank in every field of every route that takes text, and changes nothing."""

from __future__ import annotations

from typing import Any

from api.routes import ROUTES
from shared.domain.declared import Change, Text, fields_of
from shared.domain.users import Role
from tests.api.conftest import PASSWORD, MakeApi
from tests.api.rows import Rows
from tests.api.test_permissions import World
from tests.shared.domain.test_text import INVISIBLE

KINDS = (
    *("nothing", "zero width space", "hangul fillers", "braille blank", "bidi controls", "combining marks on nothing"),
    *("tags", "the place of an object", "control characters", "all kinds among spaces"),
)
OF_LISTING = ("title", "content", "make", "model", "location")
OF_STAFF = ("ban", "categor", "hidden", "warnings", "suspension", "notes", "decision")
"""Words in the paths of what only the staff does."""
FIELDS: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
    ("POST", "/api/register", {"email": "ann@example.com", "password": PASSWORD}, ("name",)),
    ("PATCH", "/api/me", {}, ("name",)),
    ("POST", "/api/me/passkeys", {"credential": {}}, ("name",)),
    ("PUT", "/api/users/{id=somebody}/ban", {}, ("reason",)),
    ("POST", "/api/categories", {"visibility": "public"}, ("name",)),
    ("PATCH", "/api/categories/{id=category}", {}, ("name",)),
    ("POST", "/api/listings", {"title": "A car", "content": "It drives."}, OF_LISTING),
    ("PATCH", "/api/listings/{id=public}", {}, OF_LISTING),
    ("PUT", "/api/listings/{id=public}/hidden", {}, ("reason",)),
    ("POST", "/api/listings/{id=public}/replies", {}, ("text",)),
    ("POST", "/api/listings/{id=public}/reports", {"reason": "spam"}, ("text",)),
    ("POST", "/api/users/{id=somebody}/reports", {"reason": "spam"}, ("text",)),
    ("POST", "/api/messages/{id=message_to_owner}/reports", {"reason": "spam"}, ("text",)),
    ("POST", "/api/replies/{id=reply}/reports", {"reason": "spam"}, ("text",)),
    ("POST", "/api/searches", {"query": {}}, ("name",)),
    ("PATCH", "/api/searches/{id=search}", {}, ("name",)),
    ("POST", "/api/messages", {"to": 1}, ("message",)),
    ("POST", "/api/users/{id=somebody}/warnings", {}, ("reason",)),
    ("PUT", "/api/users/{id=somebody}/suspension", {"days": 7}, ("reason",)),
    ("POST", "/api/users/{id=somebody}/notes", {}, ("text",)),
    ("POST", "/api/listings/{id=public}/notes", {}, ("text",)),
    ("POST", "/api/objections", {"token": "x.x"}, ("text",)),
    ("PUT", "/api/objections/{id=objection}/decision", {"outcome": "kept"}, ("answer",)),
]  # fmt: skip


async def test_no_route_takes_a_text_that_shows_nothing(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(rate_limits=False, writes_per_minute=10_000)
    admin, category = await api.register("Ann", Role.ADMIN), await rows.category()
    world = World(rows, api.settings)
    owner = (await world.people())["owner"]
    for method, path, body, fields in FIELDS:
        headers = admin.headers if any(word in path for word in OF_STAFF) else owner.headers
        given = {**body, "category_id": category} if path == "/api/listings" else body
        address = await world.path(path, owner)
        for field in fields:
            for kind in KINDS:
                sent = {**given, field: INVISIBLE[kind]}
                problem = await api.call(method, address, 422, headers=headers, json=sent)
                assert problem["errors"] == {field: ["Must not be blank."]}, (method, path, kind)


def test_every_text_of_every_body_was_tried() -> None:
    texts = set()
    for route in ROUTES:
        declared = route.body.OF if route.body is not None and issubclass(route.body, Change) else route.body
        for one in fields_of(declared) if declared is not None else ():
            if isinstance(one.rule, Text):
                texts.add((route.method, route.path.replace("{id}", ""), one.name))
    tried = {
        (method, path.partition("{")[0] + path.partition("}")[2], one) for method, path, _, all in FIELDS for one in all
    }
    assert texts == tried
