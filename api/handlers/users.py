"""Other users: their public profile, and what admins see and change."""

from __future__ import annotations

from datetime import UTC, datetime

from api import sanctioning
from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import Conflict, Invalid
from api.schemas.answers import accounts as answers
from api.schemas.users import BanBody, RoleBody, UsersQuery
from shared.security_events import SecurityEvent


async def read(call: Call) -> answers.MetProfile:
    """A user's public profile."""
    call.services.rate_limits.profile(call.user.user_id)
    user = await call.services.users.public(call.path_id())
    call.query()
    is_blocked = await call.services.blocks.is_blocked(user.id, by=call.user.user_id)
    return answers.met_profile(user, is_blocked=is_blocked)


async def find(call: Call) -> Page[answers.FullProfile]:
    """All users, newest first, with e-mail address and ban."""
    query = call.query(UsersQuery)
    users = await call.services.users.find(
        text=(query.q or "").strip() or None,
        role=query.role,
        banned=query.banned,
        before_id=decode_cursor(query.cursor, int),
        limit=query.limit + 1,
    )
    return page(users, query.limit, answers.full_profile, lambda user: user.id)


async def change_role(call: Call) -> answers.FullProfile:
    """Give or take a role."""
    user_id, services = call.path_id(), call.services
    await services.users.public(user_id)
    body = await call.body(RoleBody)
    user, is_change = await services.users.set_role(user_id, body.role, by=call.user.user_id)
    if is_change:
        call.tell(SecurityEvent.ROLE_CHANGED, of_user_id=user.id, role=user.role)
        services.realtime.role_changed(user.id, user.role)
    return answers.full_profile(user)


async def ban(call: Call) -> answers.FullProfile:
    """Ban a user, for a time or permanently: tokens and sockets end at once."""
    user_id, services = call.path_id(), call.services
    await services.users.public(user_id)
    body = await call.body(BanBody)
    if body.until is not None and body.until <= datetime.now(UTC):
        raise Invalid({"until": ["Is in the past."]})
    if user_id == call.user.user_id:
        raise Conflict("You cannot ban yourself.")
    async with services.database.transaction() as transaction:
        within = services.within(transaction)
        user = await within.users.ban(user_id, until=body.until, reason=body.reason, by=call.user.user_id)
        ban = await sanctioning.mail_ban(within, user, body.reason, body.until, is_suspension=False)
    sanctioning.ban_began(services, user_id, ban)
    return answers.full_profile(user)


async def unban(call: Call) -> None:
    """End a ban or a suspension."""
    user_id = call.path_id()
    await call.services.users.public(user_id)
    call.query()
    await call.services.users.unban(user_id, by=call.user.user_id)
    call.services.realtime.seller_changed(user_id)
