"""Warnings, suspensions and bans, with objections and notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.schemas.answers.common import Person
from shared.domain import sanctions
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.sanctions import Outcome, SanctionKind
from shared.domain.times import rfc3339, rfc3339_or_none


@dataclass(frozen=True, slots=True)
class TitledListing:
    id: Id
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnObjection:
    """What somebody said against a sanction. `outcome` and what follows it are null until somebody has decided."""

    text: str
    made_at: Timestamp
    outcome: Outcome | None
    answer: str | None
    decided_at: Timestamp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSanction:
    """What was done to you, as you are told of it. `listing` is the hidden one; null also if it was deleted for good.

    `ended_at` says when it was lifted, replaced by another one, or passed; `read_at` when you confirmed that you have
    read the warning. `objection_token` is for an objection; null if you have objected.
    """

    id: Id
    kind: SanctionKind
    reason: str | None
    listing: TitledListing | None
    given_at: Timestamp
    until: Timestamp | None
    ended_at: Timestamp | None
    read_at: Timestamp | None
    objection: OwnObjection | None
    objection_token: str | None


def own_sanction(sanction: sanctions.Sanction, token_of: Callable[[int], str]) -> OwnSanction:
    said = sanction.objection
    objection = None if said is None else OwnObjection(**_said(said))
    token = None if said is not None else token_of(sanction.id)
    return OwnSanction(**_done(sanction), objection=objection, objection_token=token)


def _done(sanction: sanctions.Sanction) -> dict[str, Any]:
    listing = None
    if sanction.listing_id is not None:
        listing = TitledListing(sanction.listing_id, sanction.listing_title or "")
    return {
        "id": sanction.id,
        "kind": sanction.kind,
        "reason": sanction.reason,
        "listing": listing,
        "given_at": rfc3339(sanction.given_at),
        "until": rfc3339_or_none(sanction.until),
        "ended_at": rfc3339_or_none(sanction.ended_at),
        "read_at": rfc3339_or_none(sanction.read_at),
    }


def _said(objection: sanctions.Objection) -> dict[str, Any]:
    return {
        "text": objection.text,
        "made_at": rfc3339(objection.made_at),
        "outcome": objection.outcome,
        "answer": objection.answer,
        "decided_at": rfc3339_or_none(objection.decided_at),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Warnings:
    data: list[OwnSanction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection(OwnObjection):
    decided_by: Person | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanction:
    """What was done to somebody, as moderators see it. `by` is null if it is not known who did it."""

    id: Id
    kind: SanctionKind
    person: Person
    by: Person | None
    reason: str | None
    listing: TitledListing | None
    given_at: Timestamp
    until: Timestamp | None
    ended_at: Timestamp | None
    read_at: Timestamp | None
    objection: Objection | None


def sanction(sanction: sanctions.Sanction) -> Sanction:
    said, objection = sanction.objection, None
    if said is not None:
        objection = Objection(**_said(said), decided_by=_person(said.decided_by, said.decided_by_name))
    return Sanction(
        **_done(sanction),
        person=Person(sanction.user_id, sanction.user_name),
        by=_person(sanction.by_id, sanction.by_name),
        objection=objection,
    )


def _person(user_id: int | None, name: str | None) -> Person | None:
    return None if user_id is None else Person(user_id, name or "")


@dataclass(frozen=True, slots=True)
class ObjectionsPage:
    """`open` is the number of all objections that nobody has decided."""

    data: list[Sanction]
    next_cursor: str | None
    open: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a moderator wrote about a person (`user_id`) or a listing (`listing_id`)."""

    id: Id
    user_id: int | None
    listing_id: int | None
    author: Person
    text: str
    created_at: Timestamp


def note(note: sanctions.Note) -> Note:
    return Note(
        id=note.id,
        user_id=note.user_id,
        listing_id=note.listing_id,
        author=Person(note.author_id, note.author_name),
        text=note.text,
        created_at=rfc3339(note.created_at),
    )
