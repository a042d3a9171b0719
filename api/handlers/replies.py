"""Replies to a listing: whoever may see the listing may read them; users may reply until the listing is a year old."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import ListingTooOld
from api.repeats import once
from api.schemas.answers import sellers as answers
from api.schemas.pages import PageQuery
from api.schemas.replies import ReplyBody
from api.services import Services
from shared.access.policy import Action
from shared.domain.replies import is_too_old
from shared.events import topics
from shared.events.alerts import alert_payload
from shared.postgres import DatabaseUnavailable


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
    call.require_confirmed()
    body = await call.body(ReplyBody)
    async with once(call) as within:
        reply, alert_id = await within.services.replies.create(listing.id, call.user.user_id, body.text)
        answer = await within.keep(answers.reply(reply))
    if not listing.is_for_anyone:
        # It may have ended just now, and people who look at it may not see it any more.
        services.realtime.look_again(listing.id)
    services.realtime.reply_created(listing.id, answer)
    if alert_id is not None:
        await _tell(services, alert_id)
    return answer


async def _tell(services: Services, alert_id: int) -> None:
    """Publish the alert. It is stored, so if it cannot be read now, the gateways read it."""
    began = asyncio.get_running_loop().time()
    try:
        found = await services.alerts.by_ids([alert_id])
    except DatabaseUnavailable:
        services.realtime.messages_lost(asyncio.get_running_loop().time() - began)
        return
    for alert in found:
        services.realtime.broadcast([topics.alerts(alert.user_id)], alert.kind.value, alert_payload(alert.json))


async def delete(call: Call) -> None:
    """Remove your own reply; an admin can remove any."""
    reply = await call.services.replies.by_id(call.path_id())
    await call.listing(reply.listing_id)
    call.require(Action.REPLY_DELETE, owner_id=reply.author_id)
    call.query()
    await call.services.replies.delete(reply, by=call.user.user_id)
