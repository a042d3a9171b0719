"""The moderators' queue: what waits for them, grouped by listing and person, the worst first. Pure.

The worst group is the one with the most weight: the gravest reason of each reporter, so that nobody counts twice, and
what was done before to the person whom it is about and was not lifted after an objection. Of groups with the same
weight, the oldest comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from shared.domain.findings import Finding, FindingKind
from shared.domain.reports import ReportedListing, ReportReason

MAX_ENTRIES = 20
"""The most entries that are read with a group: the latest ones."""
MAX_DEEDS = 5
"""The most deeds that are read with a group: the latest ones."""
MAX_WEIGHT_OF_DEEDS = 10
"""However often somebody was warned or banned, new reports about others can still weigh more."""
WEEKS = 8
"""The weeks of which there are numbers, this one included."""

WEIGHTS: Mapping[ReportReason, int] = MappingProxyType(
    {
        ReportReason.FRAUD: 5,
        ReportReason.OFFENSIVE: 3,
        ReportReason.SPAM: 2,
        ReportReason.UNRELATED: 2,
        ReportReason.WRONG_CATEGORY: 1,
        ReportReason.SOLD: 1,
        ReportReason.OTHER: 1,
    }
)
"""How grave each reason is."""

FINDING_WEIGHTS: Mapping[FindingKind, int] = MappingProxyType({FindingKind.SAME_PICTURE: 3, FindingKind.SAME_VIN: 3})
"""How grave it is what the program has found."""
HOLD_WEIGHT = 3
"""How grave it is that somebody sent nearly the same to many."""

DEEDS: Mapping[str, int] = MappingProxyType({"warn": 1, "listing_hide": 2, "suspend": 3, "ban": 4})
"""What moderators do to people and their listings, by its name in the audit log, and how much it weighs. A trigger in
schema.sql has the names, too."""

VERSION_OF_WEIGHTS = 1
"""Grows when a weight of this module changes: an API then makes the kept weights anew."""


class SubjectKind(StrEnum):
    """What a group is about: a listing, or a person with their messages and replies."""

    LISTING = "listing"
    PERSON = "person"


class EntryKind(StrEnum):
    """What is in a group. shared/repositories/moderation_queue.py says where each kind is stored."""

    REPORT = "report"
    SAME_PICTURE = "same_picture"
    SAME_VIN = "same_vin"
    HELD_MESSAGES = "held_messages"


FINDINGS = frozenset(EntryKind(kind.value) for kind in FINDING_WEIGHTS)
"""What the program has found."""


@dataclass(frozen=True, slots=True)
class GroupSubject:
    """The listing or the person of a group."""

    kind: SubjectKind
    id: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that waits for a moderator."""

    kind: EntryKind
    id: int
    created_at: datetime
    reason: str
    text: str | None
    quote: str | None
    message_id: int | None
    reply_id: int | None
    by_id: int | None
    """Who reported it; None if the program found it."""
    by_name: str | None
    listing_id: int | None
    """Of a reply, the listing that it is under; of a finding, the earlier listing of somebody else."""
    listing_title: str | None
    people: int | None
    """Of held messages, to how many people they are."""
    texts: Sequence[str] | None
    """Of held messages, the latest different ones."""
    newest_id: int | None
    """Of held messages, the greatest id."""
    pictures: Sequence[Mapping[str, Any]] | None
    """Of held messages, the latest, as their payloads have them."""
    finding: Finding | None = None
    """Both listings of a finding."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a moderator or admin did to the person or one of their listings."""

    id: int
    action: str
    reason: str | None
    created_at: datetime
    by_id: int
    by_name: str
    listing_id: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """All that waits about one listing or one person. `person` owns the listing."""

    subject: GroupSubject
    weight: int
    sources: int
    """The number of different people who reported it."""
    size: int
    since: datetime
    newest_at: datetime
    person_id: int
    person_name: str
    listing: ReportedListing | None
    done: Mapping[str, int]
    """How often each of `DEEDS` was done to the person."""
    entries: list[Entry]
    deeds: list[Deed]


@dataclass(frozen=True, slots=True)
class GroupPosition:
    """A place in the queue as it was at `as_of`, so that what happens later changes no order between two pages."""

    as_of: datetime
    weight: int
    since: datetime
    listing_id: int
    user_id: int
    """Of these two ids, one is 0."""


@dataclass(frozen=True, slots=True)
class Week:
    """What happened in the week that began at `since`, on a Monday at 00:00 UTC."""

    since: datetime
    made: int
    resolved: int
    median_seconds: float | None
    """From a report to its resolution, of those that were resolved in this week; None if none was."""
    by_reason: Mapping[ReportReason, int]
    """Reports that were made in this week."""


class NothingWaits(Exception):
    """Nothing about this listing or person waits for this moderator."""
