"""The shape of every answer, for the document. Nothing is dumped through these: rows go to JSON by a straighter way."""

from __future__ import annotations

from functools import cache
from typing import Any

from marshmallow import Schema, fields

from api.schemas.fields import Time
from shared.domain.listings import Status, Visibility
from shared.domain.reports import ReportReason
from shared.domain.users import Role


def _id() -> fields.Integer:
    return fields.Integer(required=True, strict=True, metadata={"minimum": 1})


def _count() -> fields.Integer:
    return fields.Integer(required=True, strict=True, metadata={"minimum": 0})


def _text(**settings: Any) -> fields.String:
    return fields.String(required=True, **settings)


def _time(**settings: Any) -> Time:
    return Time(required=True, **settings)


def _nested(schema: type[Schema], **settings: Any) -> fields.Nested:
    return fields.Nested(schema, required=True, **settings)


@cache
def page_of(schema: type[Schema]) -> type[Schema]:
    """A page of such things; `next_cursor` is null on the last one."""
    name = f"{schema.__name__}Page"
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(schema), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=name,
    )


class Problem(Schema):
    """RFC 9457. `errors` comes with 422: a list of sentences for each field."""

    type = _text(metadata={"example": "/problems/invalid"})
    title = _text()
    status = fields.Integer(required=True, strict=True)
    detail = _text()
    errors = fields.Dict(keys=fields.String())


class Health(Schema):
    status = fields.String(required=True, metadata={"enum": ["ok", "unavailable"]})
    reasons = fields.Dict(keys=fields.String(), values=fields.String())


class Person(Schema):
    """Whose name stands at something; empty for one who has left."""

    id = _id()
    name = _text()


class PublicProfile(Schema):
    id = _id()
    name = _text()
    role = fields.Enum(Role, by_value=True, required=True)
    created_at = _time()


class Profile(PublicProfile):
    email = _text()


class Ban(Schema):
    since = _time()
    until = _time(allow_none=True)
    reason = _text()


class FullProfile(Profile):
    ban = _nested(Ban, allow_none=True)


class BlockedProfile(PublicProfile):
    blocked_at = _time()


class SignedIn(Schema):
    """`expires_in` is the access token's life in seconds."""

    user = _nested(Profile)
    access_token = _text()
    refresh_token = _text()
    expires_in = _count()


# `from` is a word of Python's own, so this one is no class body. `from` and `to` are user ids as strings.
Message = Schema.from_dict(
    {
        "id": _id(),
        "from": _text(),
        "to": _text(),
        "message": _text(),
        "listing_id": fields.Integer(required=True, strict=True, allow_none=True),
        "inserted_at": _time(),
        "read_at": _time(allow_none=True),
    },
    name="Message",
)


class Conversation(Schema):
    user = _nested(Person)
    last_message = _nested(Message)
    unread_count = _count()


class Picture(Schema):
    """The addresses are paths on this host; sizes are in pixels."""

    id = _id()
    url = _text()
    thumbnail_url = _text()
    width = _count()
    height = _count()


class Category(Schema):
    id = _id()
    name = _text()
    visibility = fields.Enum(Visibility, by_value=True, required=True)
    created_at = _time()


class CategoryName(Schema):
    id = _id()
    name = _text()


class Listing(Schema):
    """`hidden` and what follows it are for those who may know: the seller, moderators and admins."""

    id = _id()
    title = _text()
    content = _text()
    category = _nested(CategoryName)
    seller = _nested(Person)
    visibility = fields.Enum(Visibility, by_value=True, required=True)
    status = fields.Enum(Status, by_value=True, required=True)
    make = _text(allow_none=True)
    model = _text(allow_none=True)
    year = fields.Integer(required=True, strict=True, allow_none=True)
    mileage = fields.Integer(required=True, strict=True, allow_none=True)
    price = fields.Integer(required=True, strict=True, allow_none=True)
    location = _text(allow_none=True)
    created_at = _time()
    updated_at = _time()
    reply_count = _count()
    pictures = fields.List(fields.Nested(Picture), required=True)
    hidden = fields.Boolean()
    hidden_until = Time(allow_none=True)
    hidden_reason = fields.String(allow_none=True)


class Trashing(Schema):
    """When it came into the trash, by whom and why. If its category is gone, a restore needs another one."""

    at = _time()
    by = _nested(Person, allow_none=True)
    reason = _text(allow_none=True)
    category_is_gone = fields.Boolean(required=True)


class TrashedListing(Listing):
    trashed = _nested(Trashing)


class Reply(Schema):
    id = _id()
    listing_id = _id()
    author = _nested(Person)
    text = _text()
    created_at = _time()


class Report(Schema):
    id = _id()
    listing_id = _id()
    reporter_id = _id()
    reason = fields.Enum(ReportReason, by_value=True, required=True)
    text = _text(allow_none=True)
    created_at = _time()
    resolved_at = _time(allow_none=True)
    resolved_by = fields.Integer(required=True, strict=True, allow_none=True)


class ReportedListing(Schema):
    id = _id()
    title = _text()
    trashed = fields.Boolean(required=True)


class QueuedReport(Report):
    """`report_count`: open reports of the listing when the reading of the queue began."""

    reporter = _nested(Person)
    listing = _nested(ReportedListing)
    report_count = _count()


class Target(Schema):
    type = _text()
    id = _id()


class Act(Schema):
    """Something that a moderator or an admin did."""

    id = _id()
    actor = _nested(Person)
    action = _text()
    target = _nested(Target)
    reason = _text(allow_none=True)
    details = fields.Dict(required=True, keys=fields.String())
    created_at = _time()
