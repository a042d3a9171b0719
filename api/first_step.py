"""The first step of a log-in: the password of the account with an e-mail address, and how often it may be guessed."""

from __future__ import annotations

from dataclasses import dataclass

from api.call import Call
from api.devices import Device
from api.passwords import Match
from api.problems import WrongCredentials
from shared.domain.email_addresses import account_of
from shared.domain.users import Account, User


@dataclass(frozen=True, slots=True)
class FirstStep:
    """A log-in with the right password."""

    user: User
    password_hash: str
    """The one with which the password was compared."""
    match: Match
    device: Device | None
    """The user's own device from which the log-in comes; None if it is not known."""


async def take_first_step(call: Call, email: str, password: str, device_id: str | None) -> FirstStep:
    """Compare the password. Raises WrongCredentials, or TooManyRequests if no guess is left."""
    services, limits = call.services, call.services.rate_limits
    name = account_of(email)
    account: Account | None = None
    match: Match | None = None

    # Unknown users take the same time, so that the time does not tell who is registered.
    async def compare(found: Account) -> bool:
        nonlocal match
        # The owner, on a known device, does not wait for those who guess.
        turn = f"account {found.name}" if device is None else f"device {device.user_id}:{device.name}"
        match = await services.passwords.verify(found.password_hash, password, turn=turn)
        return match is not None

    # Whoever has no log-in or guess left costs no query.
    async def find_and_compare() -> bool:
        nonlocal account
        found = account = account or await services.users.for_login(email)
        if found.name == name:
            return await compare(found)
        # The name of an account of an earlier version may not be made of this spelling.
        return await limits.guess(call.request, found.name, lambda: compare(found))

    device = services.devices.read(device_id)
    if device is not None:
        await limits.login_from_device(device)
        account = await services.users.for_login(email)
        if account.user is None or device.user_id != account.user.id:
            # The device belongs to another account, so this log-in counts as one from an unknown device.
            device = None
    if device is not None and account is not None:
        known = account
        await limits.guess_from_device(device, lambda: compare(known))
    else:
        await limits.login(call.request)
        await limits.guess(call.request, name, find_and_compare)
    user = account.user if account is not None else None
    if account is None or user is None or account.password_hash is None or match is None:
        raise WrongCredentials(user.id if user is not None else None)
    return FirstStep(user, account.password_hash, match, device)
