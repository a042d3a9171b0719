"""The second factor of the user's own account: codes of an app (TOTP), and recovery codes for a lost phone."""

from __future__ import annotations

import segno

from api.call import Call
from api.handlers.accounts import check_password, own_token
from api.schemas.answers import accounts as answers
from api.schemas.second_factor import CodeBody, ConfirmedBody, PasswordBody
from api.second_step import check_code, first_step
from shared.domain.second_factor import SecondFactorOff, address_of, hash_of, new_recovery_codes, new_seed
from shared.domain.users import Role
from shared.security_events import SecurityEvent

_QUIET_ZONE = 4
"""Light modules around the code (ISO/IEC 18004)."""


async def read(call: Call) -> answers.SecondFactor:
    """Whether your log-ins need a code as well, and how many recovery codes are left."""
    call.query()
    services, user_id = call.services, call.user.user_id
    state = await services.second_factors.state(user_id)
    role = (await services.users.by_id(user_id)).role
    return answers.second_factor(state, is_required=services.settings.second_factor_for_staff and role is not Role.USER)


async def begin(call: Call) -> answers.NewSecondFactor:
    """Get a seed for an app that makes codes; it counts when its first code is sent.

    `uri` is what the QR code says. `qr` is drawn as an SVG path in a square of `qr_size` units.
    """
    body = await call.body(PasswordBody)
    user_id, services = call.user.user_id, call.services
    await check_password(call, body.current_password)
    user, seed = await services.users.by_id(user_id), new_seed()
    await services.second_factors.begin(user_id, seed)
    uri = address_of(seed, user.email)
    path, size = _drawn(uri)
    return answers.NewSecondFactor(secret=seed, uri=uri, qr=path, qr_size=size)


async def confirm(call: Call) -> answers.RecoveryCodes:
    """Turn the second factor on with its first code, and get recovery codes; your other sessions end.

    Each recovery code can be used once, instead of a code of the app. They are shown only here.
    """
    body = await call.body(CodeBody)
    user_id, services = call.user.user_id, call.services
    step, codes = await first_step(call, user_id, body.code), new_recovery_codes()
    hashes = [hash_of(user_id, code) for code in codes]
    await services.second_factors.confirm(user_id, step, hashes, own_token(call))
    call.tell(SecurityEvent.SECOND_FACTOR_CHANGED, is_on=True)
    services.realtime.disconnect(user_id, kept_session_id=call.user.session_id)
    await tell_role(call, user_id)
    return answers.RecoveryCodes(recovery_codes=codes)


async def new_codes(call: Call) -> answers.RecoveryCodes:
    """Get new recovery codes; the old ones no longer count."""
    body = await call.body(ConfirmedBody)
    user_id, services = call.user.user_id, call.services
    await _require(call, body)
    codes = new_recovery_codes()
    await services.second_factors.set_codes(user_id, [hash_of(user_id, code) for code in codes])
    call.tell(SecurityEvent.SECOND_FACTOR_CHANGED, is_on=True)
    return answers.RecoveryCodes(recovery_codes=codes)


async def remove(call: Call) -> None:
    """Turn your second factor off."""
    body = await call.body(ConfirmedBody)
    user_id = call.user.user_id
    await _require(call, body)
    await call.services.second_factors.remove(user_id, by=None)
    call.tell(SecurityEvent.SECOND_FACTOR_CHANGED, is_on=False)
    await tell_role(call, user_id)


async def remove_of_user(call: Call) -> None:
    """Turn somebody's second factor off, who has lost it and all recovery codes."""
    user_id = call.path_id()
    await call.services.users.public(user_id)
    call.query()
    if await call.services.second_factors.remove(user_id, by=call.user.user_id):
        call.tell(SecurityEvent.SECOND_FACTOR_CHANGED, of_user_id=user_id, is_on=False)
        await tell_role(call, user_id)


async def tell_role(call: Call, user_id: int) -> None:
    """Let the gateways look again what the user may do now: staff may need a second factor for it."""
    user = await call.services.users.by_id(user_id)
    if call.services.settings.second_factor_for_staff and user.role is not Role.USER:
        call.services.realtime.role_changed(user_id, user.role)


async def _require(call: Call, body: ConfirmedBody) -> None:
    """Raises WrongPassword, SecondFactorOff or WrongCode."""
    user_id = call.user.user_id
    await check_password(call, body.current_password)
    if (await call.services.second_factors.state(user_id)).since is None:
        raise SecondFactorOff
    await check_code(call, user_id, body.code)


def _drawn(text: str) -> tuple[str, int]:
    """Returns the dark modules of a QR code as an SVG path, and the side of the square with its quiet zone."""
    matrix = segno.make(text, error="m", micro=False).matrix
    rows = (
        f"M{x + _QUIET_ZONE} {y + _QUIET_ZONE}h1v1h-1z"
        for y, row in enumerate(matrix)
        for x, is_dark in enumerate(row)
        if is_dark
    )
    return "".join(rows), len(matrix) + 2 * _QUIET_ZONE
