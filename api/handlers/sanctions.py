"""Warnings and suspensions, what was done to somebody before, and the objections against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api import sanctioning
from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import InvalidLink
from api.repeats import once
from api.schemas.answers import sanctions as answers
from api.schemas.pages import PageQuery
from api.schemas.sanctions import DecisionBody, ObjectionBody, SuspensionBody, WarningBody
from shared.access.policy import Action
from shared.domain.ids import MAX_ID
from shared.domain.sanctions import OwnSanction, SanctionKind
from shared.events.moderation import OBJECTED


async def warn(call: Call) -> answers.Sanction:
    """Warn a user: until they have read it, they can neither write nor publish."""
    user_id, services = call.path_id(), call.services
    await services.users.public(user_id)
    body = await call.body(WarningBody)
    if user_id == call.user.user_id:
        raise OwnSanction
    async with once(call) as within:
        warning = await within.services.sanctions.warn(user_id, body.reason, by=call.user.user_id)
        answer = await within.keep(answers.sanction(warning))
    sanctioning.tell(services, warning)
    return answer


async def suspend(call: Call) -> answers.Sanction:
    """Suspend a user for a time: tokens and sockets end at once, and nobody sees their listings."""
    user_id, services = call.path_id(), call.services
    await services.users.public(user_id)
    body = await call.body(SuspensionBody)
    if user_id == call.user.user_id:
        raise OwnSanction
    until = datetime.now(UTC) + timedelta(days=body.days)
    async with services.database.transaction() as transaction:
        within = services.within(transaction)
        user = await within.users.suspend(user_id, until=until, reason=body.reason, by=call.user.user_id)
        suspension = await sanctioning.mail_ban(within, user, body.reason, until, is_suspension=True)
    sanctioning.ban_began(services, user_id, suspension)
    return answers.sanction(suspension)


async def end_suspension(call: Call) -> None:
    """End a suspension. A ban stays."""
    user_id = call.path_id()
    await call.services.users.public(user_id)
    call.query()
    if await call.services.users.end_suspension(user_id, by=call.user.user_id):
        call.services.realtime.seller_changed(user_id)


async def of_user(call: Call) -> Page[answers.Sanction]:
    """What was done to a user, latest first."""
    user_id = call.path_id()
    await call.services.users.public(user_id)
    query = call.query(PageQuery)
    found = await call.services.sanctions.of_user(
        user_id, before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1
    )
    return page(found, query.limit, answers.sanction, lambda one: one.id)


async def own(call: Call) -> Page[answers.OwnSanction]:
    """What was done to you, latest first: warnings, suspensions, bans, and listings of yours that were hidden."""
    query = call.query(PageQuery)
    found = await call.services.sanctions.of_user(
        call.user.user_id, before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1
    )
    token = call.services.mail_links.objection_token
    return page(found, query.limit, lambda one: answers.own_sanction(one, token), lambda one: one.id)


async def unread(call: Call) -> answers.Warnings:
    """The warnings that you have to read, oldest first; at most 20. Until then you can neither write nor publish."""
    call.query()
    token = call.services.mail_links.objection_token
    found = await call.services.sanctions.unread(call.user.user_id)
    return answers.Warnings(data=[answers.own_sanction(one, token) for one in found])


async def read(call: Call) -> None:
    """Confirm that you have read a warning."""
    sanction_id = call.path_id()
    call.query()
    await call.services.sanctions.read(sanction_id, call.user.user_id)
    call.services.realtime.standing_changed(call.user.user_id)


async def object(call: Call) -> answers.OwnSanction:
    """Object to a warning, a suspension, a ban or a hidden listing of yours, once each. It needs no log-in.

    `token` is that of the sanction: `GET /api/me/sanctions` has it, and so have the mail about it, and the answer to a
    log-in of somebody who is banned or suspended. It allows nothing else, and expires after 30 days.
    """
    body = await call.body(ObjectionBody)
    sanction_id = call.services.mail_links.sanction_in(body.token)
    if sanction_id is None:
        raise InvalidLink
    sanction = await call.services.sanctions.object(sanction_id, body.text)
    call.is_of(sanction.user_id)
    call.services.realtime.sanction_changed(OBJECTED, sanction)
    return answers.own_sanction(sanction, call.services.mail_links.objection_token)


async def objections(call: Call) -> answers.ObjectionsPage:
    """Objections that nobody has decided, the first one first."""
    query = call.query(PageQuery)
    found = await call.services.sanctions.objections(
        decode_cursor(query.cursor, tuple[datetime, int]), limit=query.limit + 1
    )
    shown: Page[answers.Sanction] = page(
        found, query.limit, answers.sanction, lambda one: (one.objection and one.objection.made_at, one.id)
    )
    return answers.ObjectionsPage(shown.data, shown.next_cursor, await call.services.sanctions.open_count())


async def decide(call: Call) -> answers.Sanction:
    """Decide about an objection, once: the sanction is kept, or lifted. The id is that of the sanction.

    Whoever gave the sanction decides only if nobody else may. Admins decide about bans.
    """
    services, sanction = call.services, await call.services.sanctions.by_id(call.path_id())
    if sanction.kind is SanctionKind.BAN:
        call.require(Action.BAN_CHANGE, owner_id=None)
    body = await call.body(DecisionBody)
    decided = await services.sanctions.decide(sanction.id, body.outcome, body.answer, by=call.user.user_id)
    await sanctioning.decided(services, decided)
    return answers.sanction(decided)
