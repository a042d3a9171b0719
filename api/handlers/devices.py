"""Where a person is logged in, for admins."""

from __future__ import annotations

from datetime import datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas.answers import accounts as answers
from api.schemas.pages import PageQuery


async def find(call: Call) -> Page[answers.Device]:
    """The devices on which somebody is logged in, latest first. Only for admins."""
    user_id = call.path_id()
    await call.services.users.public(user_id)
    query = call.query(PageQuery)
    before = decode_cursor(query.cursor, tuple[datetime, str])
    found = await call.services.sessions.of_user(user_id, before=before, limit=query.limit + 1)
    return page(found, query.limit, answers.device, lambda one: (one.created_at, one.id))


async def disconnect(call: Call) -> None:
    """Log somebody out on one device: its session, its tokens and its sockets end. The audit log says so."""
    user_id, session_id = call.path_id(), call.path_session_id()
    call.query()
    await call.services.sessions.end_of(user_id, session_id, by=call.user.user_id)
    call.services.realtime.disconnect(user_id, session_id)
