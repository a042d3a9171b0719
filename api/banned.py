"""The answer to somebody who is banned or suspended: until when, why, and how to object."""

from __future__ import annotations

from api.problems import BannedUser
from api.services import Services
from shared.domain.sanctions import Objection
from shared.domain.times import in_words
from shared.domain.users import UserNotFound
from shared.repositories.sanctions import BANS


async def banned(services: Services, user_id: int | None) -> BannedUser:
    """Returns the answer. Only somebody who has shown a password, a passkey or a token of the user may get it.

    Raises DatabaseUnavailable.
    """
    if user_id is None:
        return BannedUser()
    try:
        user = await services.users.by_id(user_id)
    except UserNotFound:
        return BannedUser()
    if user.ban is None:
        # It has ended just now.
        return BannedUser()
    what = "suspended" if user.ban.is_suspension else "banned"
    until = f"until {in_words(user.ban.until)}" if user.ban.until else "for good"
    words = f"You are {what} {until}: {user.ban.reason}"
    sanction = await services.sanctions.latest(user_id, *BANS)
    if sanction is None:
        return BannedUser(words, what=what)
    if sanction.objection is None:
        return BannedUser(words, what=what, objection_token=services.mail_links.objection_token(sanction.id))
    return BannedUser(f"{words} ({_said_of(sanction.objection)})", what=what)


def _said_of(objection: Objection) -> str:
    if objection.outcome is None:
        return "You have objected, and nobody has decided about it yet."
    return f"You have objected. It stays as it is: {objection.answer}"
