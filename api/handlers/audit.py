"""The audit log, for admins."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas.answers import moderation as answers
from api.schemas.audit import AuditQuery
from shared.domain.ids import MAX_ID


async def find(call: Call) -> Page[answers.Act]:
    """Acts of moderators and admins, latest first."""
    query = call.query(AuditQuery)
    acts = await call.services.audit.latest(
        before_id=decode_cursor(query.cursor, int) or MAX_ID,
        limit=query.limit + 1,
        action=query.action,
        actor_id=query.actor_id,
    )
    return page(acts, query.limit, answers.act, lambda act: act.id)
