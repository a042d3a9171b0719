"""Saved searches, alerts, and which mails and push messages somebody gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from marshmallow import fields

from api.schemas.answers.common import Person
from api.schemas.answers.listings import Listing
from shared.domain import alerts
from shared.domain.alerts import AlertKind
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.mails import SWITCHES, Choice, MailKind
from shared.domain.times import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """`query` has the parameters of `GET /api/listings` as text. `unseen` counts new alerts, up to 100."""

    id: Id
    name: str
    query: Mapping[str, str]
    created_at: Timestamp
    unseen: Number


def saved_search(search: alerts.SavedSearch) -> SavedSearch:
    return SavedSearch(
        id=search.id,
        name=search.name,
        query=search.query,
        created_at=rfc3339(search.created_at),
        unseen=search.unseen,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchName:
    id: Id
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReply:
    id: Id
    author: Person
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What you are told on `alerts:{your id}`. `search` comes with a `match`, `reply` with a `reply`; `listing` is null
    if it is gone or ended.

    `price` is that of the moment; `price_before` is the one before it became cheaper, else null. `until` is when your
    own listing ends, else null.
    """

    id: Id
    kind: AlertKind
    told_at: Timestamp
    seen_at: Timestamp | None
    search: SearchName | None
    listing_id: Id
    title: str
    price: int | None
    price_before: int | None
    reply: AlertReply | None
    until: Timestamp | None
    listing: Listing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPage:
    """`unseen` counts all new alerts, up to 1,000."""

    data: list[Alert]
    next_cursor: str | None
    unseen: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    unseen: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSent:
    """If there is an account with this address, a mail with a link that works for `valid_seconds` is on its way."""

    valid_seconds: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """`public_key` is the service's key in base64url; null if the service sends no push messages."""

    public_key: str | None
    is_on: bool
    """Whether the browser of this session is told."""
    shows_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSwitch:
    """A kind of mail. `about` finishes the sentence "Mail me about ..."; `choice` is one of `choices`."""

    kind: MailKind
    about: str
    choice: Choice
    choices: Annotated[list[Choice], partial(fields.List, fields.Enum(Choice, by_value=True))]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoices:
    """`on` says whether this server sends mail at all."""

    on: bool
    data: list[MailSwitch]


def mail_choices(chosen: Mapping[MailKind, Choice], *, is_on: bool) -> MailChoices:
    switches = [
        MailSwitch(kind=kind, about=SWITCHES[kind].about, choice=choice, choices=list(SWITCHES[kind].choices))
        for kind, choice in chosen.items()
    ]
    return MailChoices(on=is_on, data=switches)
