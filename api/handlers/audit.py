"""The audit log, for admins."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas import answers
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID


async def find(call: Call) -> Page[answers.Act]:
    """Acts of moderators and admins, latest first."""
    query = call.query(PageQuery)
    acts = await call.services.audit.latest(before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1)
    return page(acts, query.limit, answers.act, lambda act: act.id)
