"""The moderators' queue: groups of what is reported, closed as a whole, and the numbers of the last weeks."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas.answers import moderation as answers
from api.schemas.moderation import SeenGroupBody
from api.schemas.pages import PageQuery
from shared.domain.moderation import FINDINGS, EntryKind, GroupPosition, GroupSubject, SubjectKind
from shared.events.moderation import RESOLVED
from shared.repositories.open_groups import count_open_groups


async def find(call: Call) -> answers.Groups:
    """All that waits for moderators, grouped by listing and person, the worst first."""
    query = call.query(PageQuery)
    position = decode_cursor(query.cursor, tuple[datetime, int, datetime, int, int])
    after = None if position is None else GroupPosition(*position)
    services, by = call.services, call.user.user_id
    groups = await services.moderation_queue.page(after, query.limit + 1, by=by)
    found: Page[answers.Group] = page(
        groups, query.limit, lambda one: answers.group(one[0]), lambda one: astuple(one[1])
    )
    return answers.Groups(
        found.data,
        found.next_cursor,
        await services.reports.open_count(by=by),
        await count_open_groups(services.database, by=by),
    )


async def listing_group(call: Call) -> answers.Group:
    """All that waits about one listing."""
    return await _group(call, SubjectKind.LISTING)


async def person_group(call: Call) -> answers.Group:
    """All that waits about one person, their messages and replies."""
    return await _group(call, SubjectKind.PERSON)


async def _group(call: Call, kind: SubjectKind) -> answers.Group:
    subject = GroupSubject(kind, call.path_id())
    group = await call.services.moderation_queue.group(subject, by=call.user.user_id)
    call.query()
    return answers.group(group)


async def close_listing_group(call: Call) -> answers.Closed:
    """Close all that came about one listing until `up_to`: what came later, you have not seen."""
    return await _close(call, SubjectKind.LISTING)


async def close_person_group(call: Call) -> answers.Closed:
    """Close all that came about one person until `up_to`: what came later, you have not seen."""
    return await _close(call, SubjectKind.PERSON)


async def _close(call: Call, kind: SubjectKind) -> answers.Closed:
    subject, queue, by = GroupSubject(kind, call.path_id()), call.services.moderation_queue, call.user.user_id
    await queue.person_of(subject, by=by)
    body = await call.body(SeenGroupBody)
    person_id, closed = await queue.close(subject, up_to=body.up_to, by=by)
    if closed:
        call.services.realtime.queue_changed(RESOLVED, subject, person_id, [entry_id for _, entry_id in closed])
    reports = [entry_id for entry_kind, entry_id in closed if entry_kind is EntryKind.REPORT]
    findings = [entry_id for entry_kind, entry_id in closed if entry_kind in FINDINGS]
    return answers.Closed(reports, findings)


async def numbers(call: Call) -> answers.ModerationNumbers:
    """How many reports were made and resolved in each of the last eight weeks, and how long that took."""
    call.query()
    return answers.moderation_numbers(await call.services.moderation_queue.numbers())
