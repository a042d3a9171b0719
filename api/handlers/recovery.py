"""The way back for who has forgotten the password: a link by mail, which lets its owner choose a new one."""

from __future__ import annotations

from api.call import Call
from api.handlers.accounts import refuse_password_of
from api.problems import InvalidLink, NoMail
from api.schemas.answers import notices as answers
from api.schemas.recovery import ForgottenBody, ResetBody
from shared.domain.mails import Purpose
from shared.security_events import SecurityEvent


async def forgotten(call: Call) -> answers.LinkSent:
    """Ask for a link by mail that lets you choose a new password.

    The answer is the same whether or not there is an account with this address, and takes as long. The link works once.
    """
    body = await call.body(ForgottenBody)
    services = call.services
    if not services.settings.has_mail:
        raise NoMail
    await services.rate_limits.recovery(call.request, body.email)
    await services.links.ask_for_password(body.email)
    return answers.LinkSent(valid_seconds=int(services.settings.password_link_seconds))


async def reset(call: Call) -> None:
    """Choose a new password with the token of the link in the mail: all sessions, tokens and sockets end.

    The address is then confirmed, and none that waited replaces it. If it was not confirmed before, the account's
    second factor and passkeys are removed, because somebody else may have registered the address.
    """
    body = await call.body(ResetBody)
    services = call.services
    hash = services.mail_links.hash_in(Purpose.PASSWORD_RESET, body.token)
    if hash is None:
        raise InvalidLink
    user = await services.users.by_id(await services.links.owner(hash, Purpose.PASSWORD_RESET))
    # A password that is refused does not use the link up.
    refuse_password_of(body.password, user.name, user.email)
    password_hash = await services.passwords.hash(body.password)
    services.realtime.came_back(await services.users.reset_password(hash, password_hash))
    call.is_of(user.id)
    call.tell(SecurityEvent.PASSWORD_CHANGED, how="link in a mail")
    services.realtime.disconnect(user.id)
