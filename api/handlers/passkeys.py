"""Passkeys of the user's own account, and the log-in with one."""

from __future__ import annotations

from api.banned import banned
from api.call import Call
from api.challenges import SECONDS
from api.handlers.accounts import begin_session, check_password
from api.pages.site import origin_of_site
from api.problems import Invalid
from api.schemas.answers import accounts as answers
from api.schemas.passkeys import PasskeyBody, PasskeyLoginBody, PasskeyOptionsBody
from api.schemas.second_factor import PasswordBody
from api.second_step import check_code_if_on
from shared.domain.passkeys import PasskeyRefused
from shared.domain.text import is_storable
from shared.domain.users import PasswordChanged
from shared.security_events import SecurityEvent


async def find(call: Call) -> answers.Passkeys:
    """Your passkeys, oldest first."""
    call.query()
    found = await call.services.passkeys.of_user(call.user.user_id)
    return answers.Passkeys(data=[answers.passkey(one) for one in found])


async def begin(call: Call) -> answers.PasskeyOptions:
    """Get the options with which a browser makes a passkey (`navigator.credentials.create`).

    A passkey logs in without a code. So with a second factor, this needs its `code`.
    """
    body = await call.body(PasskeyOptionsBody)
    user_id, services = call.user.user_id, call.services
    await check_password(call, body.current_password)
    needed = Invalid({"code": ["Your second factor is on, so a code is needed."]})
    await check_code_if_on(call, user_id, body.code, without=needed)
    user, known = await services.users.by_id(user_id), await services.passkeys.credentials(user_id)
    return answers.PasskeyOptions(options=services.ceremonies.registration(_origin(call), user, known))


async def add(call: Call) -> answers.Passkey:
    """Add the passkey that the browser has made."""
    body = await call.body(PasskeyBody)
    user_id, services = call.user.user_id, call.services
    try:
        new, challenge = services.ceremonies.registered(_origin(call), user_id, body.credential, body.name)
        passkey = await services.passkeys.add(user_id, new, challenge=challenge, seconds=SECONDS)
    except PasskeyRefused:
        # Its owner is logged in, so this is no failed log-in.
        raise Invalid({"credential": ["No answer to a challenge of this site, or not in time."]}) from None
    call.tell(SecurityEvent.PASSKEY_CHANGED, is_added=True)
    return answers.passkey(passkey)


async def remove(call: Call) -> None:
    """Remove a passkey: nobody can log in with it any more."""
    passkey_id = call.path_id()
    body = await call.body(PasswordBody)
    await check_password(call, body.current_password)
    await call.services.passkeys.delete(call.user.user_id, passkey_id)
    call.tell(SecurityEvent.PASSKEY_CHANGED, is_added=False)


async def begin_login(call: Call) -> answers.PasskeyOptions:
    """Get the options with which a browser asks for a passkey (`navigator.credentials.get`)."""
    call.query()
    await call.services.rate_limits.write(call.request, None)
    return answers.PasskeyOptions(options=call.services.ceremonies.log_in(_origin(call)))


async def login(call: Call) -> answers.LoggedIn:
    """Log in with a passkey, which needs no password and no code."""
    body = await call.body(PasskeyLoginBody)
    services = call.services
    await services.rate_limits.login(call.request)
    named = body.credential.get("id")
    passkey = await services.passkeys.find(named if isinstance(named, str) and is_storable(named) else "")
    count, challenge = services.ceremonies.logged_in(_origin(call), passkey, body.credential)
    user, password_hash = (
        await services.users.by_id(passkey.user_id),
        await services.users.password_hash(passkey.user_id),
    )
    call.is_of(user.id)
    if user.ban is not None:
        raise await banned(services, user.id)
    await services.passkeys.use(passkey.id, count, challenge=challenge, seconds=SECONDS)
    device = services.devices.read(body.device_id)
    is_known = device is not None and device.user_id == user.id
    device_id = services.devices.id_of(device) if device and is_known else services.devices.issue(user.id)
    try:
        return await begin_session(call, user, password_hash, device_id, is_new_device=not is_known, needs_no_code=True)
    except PasswordChanged:
        raise PasskeyRefused from None


def _origin(call: Call) -> str:
    return origin_of_site(call.services.settings, call.request)
