"""Replies to a listing: whoever may see the listing may read them; users may reply until the listing is a year old."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from api.answers import json_answer, no_content
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import ListingTooOld
from api.schemas import answers
from api.schemas.pages import PageQuery
from api.schemas.replies import ReplyBody
from shared.access.policy import Action
from shared.domain.replies import is_too_old


async def find(call: Call) -> web.Response:
    listing = await call.listing()
    query = call.query(PageQuery)
    replies = await call.services.replies.of_listing(
        listing.id, after_id=decode_cursor(query.cursor, int) or 0, limit=query.limit + 1
    )
    return json_answer(page(replies, query.limit, answers.reply, lambda reply: reply.id))


async def create(call: Call) -> web.Response:
    listing, services = await call.listing(), call.services
    if is_too_old(listing.created_at, datetime.now(UTC)):
        raise ListingTooOld
    body = await call.body(ReplyBody)
    reply = await services.replies.create(listing.id, call.user.user_id, body.text)
    answer = answers.reply(reply)
    services.realtime.reply_created(listing.id, answer)
    return json_answer(answer, 201)


async def delete(call: Call) -> web.Response:
    reply = await call.services.replies.by_id(call.path_id())
    await call.listing(reply.listing_id)
    call.require(Action.REPLY_DELETE, owner_id=reply.author_id)
    call.query()
    await call.services.replies.delete(reply, by=call.user.user_id)
    return no_content()
