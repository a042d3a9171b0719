"""Confirming an e-mail address by the link in a mail."""

from __future__ import annotations

from api.call import Call
from api.mail_links import new_link
from api.problems import Conflict, InvalidLink, NoMail
from api.schemas.answers import notices as answers
from api.schemas.recovery import ConfirmBody
from shared.domain.mails import Purpose


async def confirm(call: Call) -> None:
    """Confirm an e-mail address with the token of the link in a mail. It needs no log-in, and works once."""
    body = await call.body(ConfirmBody)
    services = call.services
    hash = services.mail_links.hash_in(Purpose.ADDRESS, body.token)
    if hash is None:
        raise InvalidLink
    user = await services.users.confirm_address(hash)
    services.realtime.came_back(user)
    call.is_of(user.id)


async def send_again(call: Call) -> answers.LinkSent:
    """Have another link sent to your address, or to your new one, if it is not confirmed yet."""
    call.query()
    services, settings = call.services, call.services.settings
    if not settings.has_mail:
        raise NoMail
    link = new_link(settings.address_link_seconds)
    if not await services.users.send_link_again(call.user.user_id, link, most=settings.max_address_links):
        raise Conflict("Your address is confirmed, or enough mails are on their way.")
    return answers.LinkSent(valid_seconds=int(settings.address_link_seconds))
