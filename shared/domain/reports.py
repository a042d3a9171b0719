"""Reports: users' complaints to moderators about a listing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_REPORT_LENGTH = 1000


class ReportReason(StrEnum):
    """What is wrong with the listing."""

    SPAM = "spam"
    FRAUD = "fraud"
    OFFENSIVE = "offensive"
    WRONG_CATEGORY = "wrong_category"
    SOLD = "sold"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Report:
    """A user's report about a listing; open while `resolved_at` is None."""

    id: int
    listing_id: int
    reporter_id: int
    reason: ReportReason
    text: str | None
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_by: int | None = None


@dataclass(frozen=True, slots=True)
class QueuedReport:
    """An open report in the moderators' queue."""

    report: Report
    reporter_name: str
    listing_title: str
    listing_is_trashed: bool
    count: int
    """The listing's number of open reports when the first page of the queue was read."""


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A place in the queue, and when its first page was read: later reports do not change the order."""

    as_of: datetime
    newest_id: int
    count: int
    listing_id: int
    report_id: int


class AlreadyReported(Exception):
    """The user has reported this listing, and it has not changed since a moderator resolved that."""


class OwnListingReported(Exception):
    """The listing is the user's own."""


class ReportNotFound(Exception):
    """There is no such report."""
