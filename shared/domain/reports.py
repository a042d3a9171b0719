"""Reports: users' complaints to moderators about a listing, a person, a message or a reply. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.messages import Message

MAX_REPORT_LENGTH = 1000
MESSAGES_AROUND = 10
"""Messages that moderators see around a reported one."""


class ReportReason(StrEnum):
    """What is wrong. The category and a sale are matters of listings only; UNRELATED means not about the car."""

    SPAM = "spam"
    FRAUD = "fraud"
    OFFENSIVE = "offensive"
    UNRELATED = "unrelated"
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
    """The text of the message or the reply; None if it was deleted before."""


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
    person_id: int = 0
    """Whom it is about: of a listing, its seller."""


@dataclass(frozen=True, slots=True)
class ReportedMessages:
    """A reported message with those around it, oldest first; and its two sides, the reported one first."""

    report: Report
    names: tuple[str, str]
    messages: list[Message]

    @property
    def people(self) -> list[tuple[int, str]]:
        """The ids and names of both sides."""
        assert self.report.subject is not None
        return list(zip((self.report.subject.user_id, self.report.reporter_id), self.names, strict=True))


def around(before: Sequence[Message], after: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """Returns the `MESSAGES_AROUND` nearest of these: half of them before and half after, or more of the longer side.

    Both sides begin with the nearest message.
    """
    half = MESSAGES_AROUND // 2
    earlier = before[: max(half, MESSAGES_AROUND - len(after))]
    return earlier, after[: MESSAGES_AROUND - len(earlier)]


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
    """The user has reported this. The report is open, or nothing has changed since a moderator resolved it."""


class OwnReported(Exception):
    """Users cannot report themselves, nor what they wrote."""


class ReportNotFound(Exception):
    """There is no such report."""
