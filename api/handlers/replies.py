"""Replies under a listing: for whoever may see the listing, until it is a year old."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from api.answers import json_answer, no_content
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import ListingTooOld
from shared.access.policy import Action
from shared.domain.replies import Reply, is_too_old
from shared.domain.times import rfc3339


async def find(call: Call) -> web.Response:
    listing = await call.listing()
    query = call.query()
    replies = await call.services.replies.of_listing(
        listing.id, after_id=decode_cursor(query["cursor"], int) or 0, limit=query["limit"] + 1
    )
    return json_answer(page(replies, query["limit"], reply_payload, lambda reply: reply.id))


async def create(call: Call) -> web.Response:
    listing, services = await call.listing(), call.services
    if is_too_old(listing.created_at, datetime.now(UTC)):
        raise ListingTooOld
    body = await call.body()
    reply = await services.replies.create(listing.id, call.user.user_id, body["text"])
    payload = reply_payload(reply)
    services.realtime.reply_created(listing.id, payload)
    return json_answer(payload, 201)


async def delete(call: Call) -> web.Response:
    reply = await call.services.replies.by_id(call.path_id())
    await call.listing(reply.listing_id)
    call.require(Action.REPLY_DELETE, owner_id=reply.author_id)
    call.query()
    await call.services.replies.delete(reply, by=call.user.user_id)
    return no_content()


def reply_payload(reply: Reply) -> dict[str, Any]:
    return {
        "id": reply.id,
        "listing_id": reply.listing_id,
        "author": {"id": reply.author_id, "name": reply.author_name},
        "text": reply.text,
        "created_at": rfc3339(reply.created_at),
    }
