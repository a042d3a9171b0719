"""The queue of moderators, their numbers, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.schemas.answers.common import Person
from api.schemas.answers.messages import held_pictures
from api.schemas.answers.reports import ReportedListing, listing_reported, reported_listing
from shared.domain import findings, moderation
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.findings import FindingKind
from shared.domain.moderation import EntryKind, SubjectKind
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.events.messages import MessagePicture
from shared.repositories import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """One thing that waits. `by` is who reported it; null if the program found it.

    `quote` is the text of a message or reply; of a reply, `listing_id` and `listing_title` say where it is. Of what
    the program found (`same_picture`, `same_vin`) they say which earlier listing, of somebody else, has the same, and
    `finding` has both. Of `held_messages`, `id` is that of the hold, `quote` the first text that waits, and `people` to
    how many it was sent; `texts`, `pictures` and `newest_id` are those of the hold, and null of any other kind.
    """

    kind: EntryKind
    id: Id
    created_at: Timestamp
    reason: str
    text: str | None
    quote: str | None
    message_id: int | None
    reply_id: int | None
    by: Person | None
    listing_id: int | None
    listing_title: str | None
    people: int | None
    texts: list[str] | None
    pictures: list[MessagePicture] | None
    newest_id: int | None
    finding: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a moderator or admin did: `listing_id` is the person's listing that it was done to."""

    id: Id
    action: str
    reason: str | None
    created_at: Timestamp
    by: Person
    listing_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What waits about the listing or person `id`; `person` owns the listing.

    `weight` decides the order: the gravest reason of each reporter, and what was `done` to the person before.
    `reporters` is the number of people who reported it, `size` that of all entries; `entries` has the latest of them,
    and `deeds` the latest that was done. A group is closed up to `newest_at`.
    """

    kind: SubjectKind
    id: Id
    weight: Number
    reporters: Number
    size: Number
    since: Timestamp
    newest_at: Timestamp
    person: Person
    listing: ReportedListing | None
    done: Mapping[str, int]
    entries: list[QueueEntry]
    deeds: list[Deed]


def group(group: moderation.Group) -> Group:
    return Group(
        kind=group.subject.kind,
        id=group.subject.id,
        weight=group.weight,
        reporters=group.sources,
        size=group.size,
        since=rfc3339(group.since),
        newest_at=rfc3339(group.newest_at),
        person=Person(group.person_id, group.person_name),
        listing=reported_listing(group.listing),
        done=group.done,
        entries=[_queue_entry(entry) for entry in group.entries],
        deeds=[_deed(deed) for deed in group.deeds],
    )


def _queue_entry(entry: moderation.Entry) -> QueueEntry:
    return QueueEntry(
        kind=entry.kind,
        id=entry.id,
        created_at=rfc3339(entry.created_at),
        reason=entry.reason,
        text=entry.text,
        quote=entry.quote,
        message_id=entry.message_id,
        reply_id=entry.reply_id,
        by=None if entry.by_id is None else Person(entry.by_id, entry.by_name or ""),
        listing_id=entry.listing_id,
        listing_title=entry.listing_title,
        people=entry.people,
        texts=None if entry.texts is None else list(entry.texts),
        pictures=None if entry.pictures is None else held_pictures(entry.pictures),
        newest_id=entry.newest_id,
        finding=None if entry.finding is None else finding(entry.finding),
    )


def _deed(deed: moderation.Deed) -> Deed:
    return Deed(
        id=deed.id,
        action=deed.action,
        reason=deed.reason,
        created_at=rfc3339(deed.created_at),
        by=Person(deed.by_id, deed.by_name),
        listing_id=deed.listing_id,
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """`open` is the number of all open reports, `groups` that of all groups."""

    data: list[Group]
    next_cursor: str | None
    open: Number
    groups: Number


@dataclass(frozen=True, slots=True)
class Closed:
    """The reports, and what the program had found, that were open and are now resolved."""

    report_ids: list[int]
    finding_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationWeek:
    """A week from Monday `since`, in UTC. `median_seconds`, from report to resolution, is of those resolved in it."""

    since: Timestamp
    made: Number
    resolved: Number
    median_seconds: float | None
    by_reason: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ModerationNumbers:
    """The last weeks, this one first."""

    weeks: list[ModerationWeek]


def moderation_numbers(weeks: Sequence[moderation.Week]) -> ModerationNumbers:
    return ModerationNumbers(
        [
            ModerationWeek(
                since=rfc3339(week.since),
                made=week.made,
                resolved=week.resolved,
                median_seconds=week.median_seconds,
                by_reason={reason.value: n for reason, n in week.by_reason.items()},
            )
            for week in weeks
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A listing that has the picture or the VIN of an earlier listing of somebody else.

    `person` is the seller of `listing`, and `earlier_person` the seller of `earlier_listing`. `picture_url` and
    `earlier_picture_url` are the pictures that look alike, small; null of those that were deleted, and of a VIN.
    """

    id: Id
    kind: FindingKind
    created_at: Timestamp
    resolved_at: Timestamp | None
    resolved_by: Id | None
    person: Person
    listing: ReportedListing
    earlier_person: Person
    earlier_listing: ReportedListing
    picture_url: str | None
    earlier_picture_url: str | None


def finding(one: findings.Finding) -> Finding:
    return Finding(
        id=one.id,
        kind=one.kind,
        created_at=rfc3339(one.created_at),
        resolved_at=rfc3339_or_none(one.decided_at),
        resolved_by=one.decided_by,
        person=Person(one.found.seller_id, one.found.seller_name),
        listing=listing_reported(one.found.listing),
        earlier_person=Person(one.earlier.seller_id, one.earlier.seller_name),
        earlier_listing=listing_reported(one.earlier.listing),
        picture_url=one.found.picture_url,
        earlier_picture_url=one.earlier.picture_url,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`name` is that of a user or category, or a listing's title, as it is now; null for anything else."""

    type: str
    id: Id
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act of a moderator or an admin."""

    id: Id
    actor: Person
    action: str
    target: Target
    reason: str | None
    details: Mapping[str, Any]
    created_at: Timestamp


def act(act: audit.Act) -> Act:
    return Act(
        id=act.id,
        actor=Person(act.actor_id, act.actor_name),
        action=act.action,
        target=Target(type=act.target_type, id=act.target_id, name=act.target_name),
        reason=act.reason,
        details=act.details,
        created_at=rfc3339(act.created_at),
    )
