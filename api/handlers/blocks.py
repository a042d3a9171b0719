"""Blocks between users: two people of whom one has blocked the other write nothing to each other."""

from __future__ import annotations

from datetime import datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import Conflict
from api.schemas.answers import accounts as answers
from api.schemas.pages import PageQuery


async def find(call: Call) -> Page[answers.BlockedProfile]:
    """The users whom you have blocked, latest first."""
    query = call.query(PageQuery)
    before = decode_cursor(query.cursor, tuple[datetime, int])
    blocked = await call.services.blocks.blocked_by(call.user.user_id, before=before, limit=query.limit + 1)
    return page(blocked, query.limit, answers.blocked_profile, lambda one: (one.since, one.user.id))


async def block(call: Call) -> answers.PublicProfile:
    """Block this user: neither of you can write to the other, or reply to the other's listings."""
    user_id = call.path_id()
    # The answer is a profile.
    call.services.rate_limits.profile(call.user.user_id)
    user = await call.services.users.public(user_id)
    call.query()
    if user_id == call.user.user_id:
        raise Conflict("You cannot block yourself.")
    await call.services.blocks.block(call.user.user_id, user_id)
    call.services.realtime.blocks_changed(call.user.user_id)
    return answers.public_profile(user)


async def unblock(call: Call) -> None:
    """End a block."""
    user_id = call.path_id()
    await call.services.users.public(user_id)
    call.query()
    me, contacts, realtime = call.user.user_id, call.services.chats.contacts, call.services.realtime
    await call.services.blocks.unblock(me, user_id)
    realtime.reads_shown(await contacts.show_read(me, user_id))
    realtime.blocks_changed(me)
