"""Replies to a listing: whoever may see the listing may read them; users may reply until the listing is a year old."""

from __future__ import annotations

from datetime import UTC, datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import ListingTooOld
from api.repeats import once
from api.schemas import answers
from api.schemas.pages import PageQuery
from api.schemas.replies import ReplyBody
from shared.access.policy import Action
from shared.domain.replies import is_too_old


async def find(call: Call) -> Page[answers.Reply]:
    """The replies under a listing, oldest first."""
    listing = await call.listing()
    query = call.query(PageQuery)
    replies = await call.services.replies.of_listing(
        listing.id, after_id=decode_cursor(query.cursor, int) or 0, limit=query.limit + 1
    )
    return page(replies, query.limit, answers.reply, lambda reply: reply.id)


async def create(call: Call) -> answers.Reply:
    """Reply to a listing that is at most a year old."""
    listing, services = await call.listing(), call.services
    if is_too_old(listing.created_at, datetime.now(UTC)):
        raise ListingTooOld
    body = await call.body(ReplyBody)
    async with once(call) as within:
        reply = await within.services.replies.create(listing.id, call.user.user_id, body.text)
        answer = await within.keep(answers.reply(reply))
    if not listing.is_for_anyone:
        # It may have ended just now, and people who look at it may not see it any more.
        services.realtime.look_again(listing.id)
    services.realtime.reply_created(listing.id, answer)
    return answer


async def delete(call: Call) -> None:
    """Remove your own reply; an admin can remove any."""
    reply = await call.services.replies.by_id(call.path_id())
    await call.listing(reply.listing_id)
    call.require(Action.REPLY_DELETE, owner_id=reply.author_id)
    call.query()
    await call.services.replies.delete(reply, by=call.user.user_id)
