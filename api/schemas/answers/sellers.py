"""What is said of a seller, and replies to listings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from marshmallow import fields

from api.schemas.answers.common import Person
from shared.domain import replies, sellers
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.times import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How a seller answers: of the latest people (at most 50, of the last 90 days) whose first message was about one of
    the seller's listings, the share to whom the seller wrote back within 24 hours, in percent; and how many people that
    is. Whoever wrote less than a day ago and still waits does not count.
    """

    within_a_day: Number
    people: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """`member_since` is a month. `listing_count` counts what visitors see, up to 1,000. `answers` is null if fewer than
    three people have asked. `confirmed_address` is null where the service confirms no addresses.
    """

    id: Id
    name: str
    member_since: Annotated[str, partial(fields.String, metadata={"example": "2026-11"})]
    listing_count: Number
    answers: Answers | None
    confirmed_address: bool | None


def seller(seller: sellers.Seller, *, confirms_addresses: bool) -> Seller:
    percent = seller.answered_percent
    return Seller(
        id=seller.id,
        name=seller.name,
        member_since=seller.member_since,
        listing_count=seller.listing_count,
        answers=None if percent is None else Answers(within_a_day=percent, people=seller.askers),
        confirmed_address=seller.has_confirmed_address if confirms_addresses else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    id: Id
    listing_id: Id
    author: Person
    text: str
    created_at: Timestamp


def reply(reply: replies.Reply) -> Reply:
    return Reply(
        id=reply.id,
        listing_id=reply.listing_id,
        author=Person(reply.author_id, reply.author_name),
        text=reply.text,
        created_at=rfc3339(reply.created_at),
    )
