"""The second step of a log-in, and of what needs the second factor again: a code of an app, or a recovery code.

A code counts once: one that somebody has looked over a shoulder, or taken from the network, is refused. Guesses are
limited for each account, whoever makes them: only who knows the password comes so far.
"""

from __future__ import annotations

import time

from api.call import Call
from shared.access.vault import Locked
from shared.domain.second_factor import WrongCode, hash_of, is_of_app, step_of, tidied
from shared.security_events import SecurityEvent


async def check_code_if_on(call: Call, user_id: int, code: str | None, *, without: Exception) -> bool:
    """Check and use up a code if the user's second factor is on. Returns whether it is.

    Raises `without` if a code is needed and there is none, or WrongCode.
    """
    if (await call.services.second_factors.state(user_id)).since is None:
        return False
    if code is None:
        raise without
    await check_code(call, user_id, code)
    return True


async def check_code(call: Call, user_id: int, typed: str) -> None:
    """Check and use up a code of the user's second factor, which is on. Raises WrongCode or SecondFactorOff."""
    code, factors = tidied(typed), call.services.second_factors

    async def check() -> bool:
        if not is_of_app(code):
            return await factors.use_recovery_code(user_id, hash_of(user_id, code))
        try:
            step = step_of(await factors.seed(user_id, is_on=True), code, time.time())
        except Locked:
            return False
        return step is not None and await factors.take(user_id, step)

    if not await call.services.rate_limits.guess_code(user_id, check):
        raise WrongCode
    if not is_of_app(code):
        call.tell(SecurityEvent.RECOVERY_CODE_USED, of_user_id=user_id)


async def first_step(call: Call, user_id: int, typed: str) -> int:
    """Returns the step of the first code of a factor that waits for it. Raises WrongCode or SecondFactorOff."""
    seed = await call.services.second_factors.seed(user_id, is_on=False)
    step: int | None = None

    async def check() -> bool:
        nonlocal step
        step = step_of(seed, tidied(typed), time.time())
        return step is not None

    if not await call.services.rate_limits.guess_code(user_id, check) or step is None:
        raise WrongCode
    return step
