"""Tells somebody what was done to them, and the gateways what that changes: the mail in the transaction of the act, the
rest after its commit."""

from __future__ import annotations

from datetime import datetime

from api.listing_changes import announce
from api.services import Services
from shared.domain.mails import MailKind
from shared.domain.sanctions import Outcome, Sanction, SanctionKind
from shared.domain.times import rfc3339_or_none
from shared.domain.users import User
from shared.events import topics
from shared.events.moderation import DECIDED, SANCTIONED
from shared.events.sanctions import OBJECTION, SANCTION, objection_payload, sanction_payload
from shared.repositories.sanctions import BANS


def tell(services: Services, sanction: Sanction | None) -> None:
    """Tell the person of a new sanction on all devices. Of a ban they are told before their sockets close."""
    if sanction is None:
        # Somebody has ended it meanwhile.
        return
    realtime = services.realtime
    realtime.broadcast([topics.private_chat(sanction.user_id)], SANCTION, sanction_payload(sanction))
    realtime.sanction_changed(SANCTIONED, sanction)
    if sanction.kind is SanctionKind.WARNING:
        realtime.standing_changed(sanction.user_id)


async def mail_ban(
    within: Services, user: User, reason: str | None, until: datetime | None, *, is_suspension: bool
) -> Sanction:
    """Mail the user about the ban or the suspension that this transaction has entered. Returns it."""
    ban = await within.sanctions.latest(user.id, *BANS)
    assert ban is not None
    facts = {
        "name": user.name,
        "reason": reason,
        "until": rfc3339_or_none(until),
        "is_suspension": is_suspension,
        "sanction_id": ban.id,
    }
    await within.outbox.add(MailKind.BANNED, user.id, facts)
    return ban


def ban_began(services: Services, user_id: int, sanction: Sanction | None) -> None:
    """The user was banned or suspended: their sockets close, and nobody sees their listings."""
    tell(services, sanction)
    services.realtime.disconnect(user_id)
    services.realtime.seller_changed(user_id)


async def decided(services: Services, sanction: Sanction) -> None:
    """Somebody has decided about the objection: tell the person, and show what is lifted."""
    realtime = services.realtime
    realtime.broadcast([topics.private_chat(sanction.user_id)], OBJECTION, objection_payload(sanction))
    realtime.sanction_changed(DECIDED, sanction)
    if sanction.objection is None or sanction.objection.outcome is not Outcome.LIFTED:
        return
    if sanction.kind in BANS:
        realtime.seller_changed(sanction.user_id)
    elif sanction.kind is SanctionKind.WARNING:
        realtime.standing_changed(sanction.user_id)
    elif sanction.listing_id is not None:
        await announce(services, sanction.listing_id)
