"""Held messages: moderators read what waits, and let it go or keep it back."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas.answers import messages as answers
from api.schemas.moderation import HoldDecisionBody
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.events.moderation import RESOLVED


async def find(call: Call) -> Page[answers.Hold]:
    """Messages that wait because their senders wrote nearly the same to many, by sender, latest first."""
    query = call.query(PageQuery)
    before_id = decode_cursor(query.cursor, int) or MAX_ID
    found = await call.services.holds.open(before_id=before_id, limit=query.limit + 1, by=call.user.user_id)
    return page(found, query.limit, answers.hold, lambda one: one.id)


async def decide(call: Call) -> answers.Hold:
    """Let messages go that wait, or keep them back. What was decided first stays.

    Those that are let go are delivered within seconds, with a new `id`; what is kept back stays with its sender. What
    was held after the message `up_to` waits on, in another hold.
    """
    hold_id, holds, by = call.path_id(), call.services.holds, call.user.user_id
    hold = await holds.by_id(hold_id, by=by)
    body = await call.body(HoldDecisionBody)
    if await holds.decide(hold_id, body.decision, by=by, up_to=body.up_to or MAX_ID):
        subject = GroupSubject(SubjectKind.PERSON, hold.user_id)
        call.services.realtime.queue_changed(RESOLVED, subject, hold.user_id, [hold_id])
    return answers.hold(await holds.by_id(hold_id, by=by))
