"""Other users: their public profile, and what admins see and change."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from api.answers import json_answer, no_content
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import Conflict, Invalid
from api.schemas import answers
from api.schemas.users import BanBody, RoleBody, UsersQuery


async def read(call: Call) -> web.Response:
    user = await call.services.users.public(call.path_id())
    call.query()
    return json_answer(answers.public_profile(user))


async def find(call: Call) -> web.Response:
    query = call.query(UsersQuery)
    users = await call.services.users.find(
        text=query.q,
        role=query.role,
        banned=query.banned,
        before_id=decode_cursor(query.cursor, int),
        limit=query.limit + 1,
    )
    return json_answer(page(users, query.limit, answers.full_profile, lambda user: user.id))


async def change_role(call: Call) -> web.Response:
    user_id, services = call.path_id(), call.services
    await services.users.public(user_id)
    body = await call.body(RoleBody)
    user, is_change = await services.users.set_role(user_id, body.role, by=call.user.user_id)
    if is_change:
        services.realtime.role_changed(user.id, user.role)
    return json_answer(answers.full_profile(user))


async def ban(call: Call) -> web.Response:
    user_id, services = call.path_id(), call.services
    await services.users.public(user_id)
    body = await call.body(BanBody)
    if body.until is not None and body.until <= datetime.now(UTC):
        raise Invalid({"until": ["Is in the past."]})
    if user_id == call.user.user_id:
        raise Conflict("You cannot ban yourself.")
    user = await services.users.ban(user_id, until=body.until, reason=body.reason, by=call.user.user_id)
    services.realtime.disconnect(user_id)
    services.realtime.seller_changed(user_id)
    return json_answer(answers.full_profile(user))


async def unban(call: Call) -> web.Response:
    user_id = call.path_id()
    await call.services.users.public(user_id)
    call.query()
    await call.services.users.unban(user_id, by=call.user.user_id)
    call.services.realtime.seller_changed(user_id)
    return no_content()
