"""Reports: users' complaints to moderators about a listing, a person, a message or a reply. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_REPORT_LENGTH = 1000


class ReportReason(StrEnum):
    """What is wrong. The category and a sale are matters of listings only."""

    SPAM = "spam"
    FRAUD = "fraud"
    OFFENSIVE = "offensive"
    WRONG_CATEGORY = "wrong_category"
    SOLD = "sold"
    OTHER = "other"


OF_LISTINGS = frozenset({ReportReason.WRONG_CATEGORY, ReportReason.SOLD})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report that is not about a listing is about: a person, and perhaps what that person wrote."""

    user_id: int
    message_id: int | None = None
    reply_id: int | None = None
    quote: str | None = None
    """The text of the message or the reply."""


@dataclass(frozen=True, slots=True)
class Report:
    """A user's report about a listing, or about a `Subject`; open while `resolved_at` is None."""

    id: int
    listing_id: int | None
    reporter_id: int
    reason: ReportReason
    text: str | None
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_by: int | None = None
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class ReportedListing:
    """The listing of a report, as it is now."""

    id: int
    title: str
    is_trashed: bool
    is_hidden: bool
    price: int | None
    status: str
    thumbnail_url: str | None
    is_for_anyone: bool


@dataclass(frozen=True, slots=True)
class QueuedReport:
    """An open report in the moderators' queue."""

    report: Report
    reporter_name: str
    listing: ReportedListing | None
    """If it is about a listing; of a report about a reply, the listing that the reply is under."""
    person_id: int
    """The person whom it is about: the seller of the listing."""
    person_name: str
    count: int
    """The number of open reports about the listing, or about the person, when the first page of the queue was read."""


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A place in the queue, and when its first page was read: later reports do not change the order."""

    as_of: datetime
    newest_id: int
    count: int
    listing_id: int
    user_id: int
    """Of these two ids, one is 0: the listing's, or the person's."""
    report_id: int


class AlreadyReported(Exception):
    """The user has reported this listing, and it has not changed since a moderator resolved that."""


class OwnReported(Exception):
    """Users cannot report themselves, nor what they wrote."""


class ReportNotFound(Exception):
    """There is no such report."""
