"""Reports, and what moderators see of what was reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.schemas.answers.common import Person
from api.schemas.answers.messages import ConversationListing
from shared.domain import reports
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.listings import Status
from shared.domain.reports import ReportReason
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.events.messages import Message, message_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """About a listing, or a person: one of their messages (`message_id`), one of their replies, or all they do."""

    id: Id
    listing_id: int | None
    user_id: int | None
    message_id: int | None
    reply_id: int | None
    reporter_id: Id
    reason: ReportReason
    text: str | None
    created_at: Timestamp
    resolved_at: Timestamp | None
    resolved_by: int | None


def report(report: reports.Report) -> Report:
    return Report(**_reported(report))


def _reported(report: reports.Report) -> dict[str, Any]:
    subject = report.subject
    return {
        "id": report.id,
        "listing_id": report.listing_id,
        "user_id": subject and subject.user_id,
        "message_id": subject and subject.message_id,
        "reply_id": subject and subject.reply_id,
        "reporter_id": report.reporter_id,
        "reason": report.reason,
        "text": report.text,
        "created_at": rfc3339(report.created_at),
        "resolved_at": rfc3339_or_none(report.resolved_at),
        "resolved_by": report.resolved_by,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedListing(ConversationListing):
    trashed: bool
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedReport(Report):
    """`person` is the one whom it is about: of a listing, its seller. `quote` is the text of the message or the reply.

    `listing` is the reported one, or the one that the reply is under. `report_count` is the number of open reports
    about the listing or the person when the first page of the queue was read.
    """

    reporter: Person
    listing: ReportedListing | None
    person: Person
    quote: str | None
    report_count: Number


@dataclass(frozen=True, slots=True)
class ReportsPage:
    """`open` is the number of all open reports."""

    data: list[QueuedReport]
    next_cursor: str | None
    open: Number


@dataclass(frozen=True, slots=True)
class ReportedMessages:
    """`people` are the reported one and the one who reported; `quote` is the reported message as it was then, or null.

    `data` has the reported message, `message_id`, with the ten nearest of its conversation, oldest first.
    """

    report_id: Id
    message_id: Id
    quote: str | None
    people: list[Person]
    data: list[Message]


def reported_messages(found: reports.ReportedMessages) -> ReportedMessages:
    subject = found.report.subject
    assert subject is not None
    assert subject.message_id is not None
    return ReportedMessages(
        found.report.id,
        subject.message_id,
        subject.quote,
        [Person(*one) for one in found.people],
        [message_payload(message) for message in found.messages],
    )


def reported_listing(shown: reports.ReportedListing | None) -> ReportedListing | None:
    return None if shown is None else listing_reported(shown)


def listing_reported(shown: reports.ReportedListing) -> ReportedListing:
    return ReportedListing(
        id=shown.id,
        title=shown.title,
        price=shown.price,
        status=Status(shown.status),
        thumbnail_url=shown.thumbnail_url,
        for_anyone=shown.is_for_anyone,
        trashed=shown.is_trashed,
        hidden=shown.is_hidden,
    )


def queued_report(queued: reports.QueuedReport) -> QueuedReport:
    about = queued.report
    return QueuedReport(
        **_reported(about),
        reporter=Person(about.reporter_id, queued.reporter_name),
        listing=reported_listing(queued.listing),
        person=Person(queued.person_id, queued.person_name),
        quote=None if about.subject is None else about.subject.quote,
        report_count=queued.count,
    )
