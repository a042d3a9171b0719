"""The audit log, for admins."""

from __future__ import annotations

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas import answers
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID


async def find(call: Call) -> web.Response:
    query = call.query(PageQuery)
    acts = await call.services.audit.latest(before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1)
    return json_answer(page(acts, query.limit, answers.act, lambda act: act.id))
