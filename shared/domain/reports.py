"""Reports: what users tell moderators about a listing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_REPORT_LENGTH = 1000


class ReportReason(StrEnum):
    SPAM = "spam"
    FRAUD = "fraud"
    OFFENSIVE = "offensive"
    WRONG_CATEGORY = "wrong_category"
    SOLD = "sold"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Report:
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
    """An open report as moderators see it in their queue."""

    report: Report
    reporter_name: str
    listing_title: str
    listing_is_trashed: bool
    count: int
    """How many open reports the listing had when the reading of the queue began."""


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """How far the queue was read, and what it was when the reading began: what comes later moves nothing in it."""

    as_of: datetime
    newest_id: int
    count: int
    listing_id: int
    report_id: int


class AlreadyReported(Exception):
    """One person reports one listing once."""


class ReportNotFound(Exception):
    """No such report."""
