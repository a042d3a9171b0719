"""Profiles, sessions, and the ways to log in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from marshmallow import fields

from api.password_rules import Strength
from shared.domain import passkeys, users
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.second_factor import SecondFactor as SecondFactorState
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.domain.users import Role
from shared.repositories import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicProfile:
    """The profile that every user sees."""

    id: Id
    name: str
    role: Role
    created_at: Timestamp


def public_profile(user: users.PublicUser) -> PublicProfile:
    return PublicProfile(**_public(user))


def _public(user: users.PublicUser | users.User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "role": user.role, "created_at": rfc3339(user.created_at)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetProfile(PublicProfile):
    """`blocked` says whether you have blocked this user."""

    blocked: bool


def met_profile(user: users.PublicUser, *, is_blocked: bool) -> MetProfile:
    return MetProfile(**_public(user), blocked=is_blocked)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedProfile(PublicProfile):
    blocked_at: Timestamp


def blocked_profile(blocked: blocks.BlockedUser) -> BlockedProfile:
    return BlockedProfile(**_public(blocked.user), blocked_at=rfc3339(blocked.since))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(PublicProfile):
    """The profile that only the user and admins see.

    `confirmed` says whether the user has confirmed `email` by a link in a mail. With `must_confirm` they may neither
    publish nor write first until they have. `new_email` replaces `email` when it is confirmed. With `has_warning` there
    is a message from the site, and they can neither publish nor write until they have read it. `takes_requests` says
    whether people may write to the user about anything, or first only about a listing of the user.
    """

    email: str
    confirmed: bool
    must_confirm: bool
    new_email: str | None
    has_warning: bool
    takes_requests: bool


def profile(user: users.User) -> Profile:
    return Profile(**_own(user))


def _own(user: users.User) -> dict[str, Any]:
    own = {"email": user.email, "confirmed": user.is_confirmed, "must_confirm": user.must_confirm}
    own |= {"new_email": user.new_email, "has_warning": user.has_warning, "takes_requests": user.takes_requests}
    return {**_public(user), **own}


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordStrength:
    """`reason` is a sentence for the person if the password would be refused."""

    strength: Strength
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session. `current` is true of the one that asks.

    `used_at` is when it was refreshed last, or began; `device` and `address` are where that was, "" if unknown. Of an
    IPv6 address only the network is kept.
    """

    id: str
    created_at: Timestamp
    expires_at: Timestamp
    used_at: Timestamp
    device: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A session of somebody, as admins see it: without the address. `device` is "" if it is unknown."""

    id: str
    created_at: Timestamp
    used_at: Timestamp
    device: str


def device(session: users.Session) -> Device:
    return Device(
        id=session.id,
        created_at=rfc3339(session.created_at),
        used_at=rfc3339(session.used_at),
        device=session.place.device,
    )


def session(session: users.Session, own_id: str) -> Session:
    return Session(
        id=session.id,
        created_at=rfc3339(session.created_at),
        expires_at=rfc3339(session.expires_at),
        used_at=rfc3339(session.used_at),
        device=session.place.device,
        address=session.place.address,
        current=session.id == own_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """`since` is null while it is off. `required`: your role may do less without it on this site."""

    enabled: bool
    since: Timestamp | None
    recovery_codes_left: Number
    required: bool


def second_factor(state: SecondFactorState, *, is_required: bool) -> SecondFactor:
    return SecondFactor(
        enabled=state.since is not None,
        since=rfc3339_or_none(state.since),
        recovery_codes_left=state.codes_left,
        required=is_required,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecondFactor:
    secret: str
    uri: str
    qr: str
    qr_size: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyOptions:
    """What `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` takes."""

    options: Annotated[dict[str, Any], fields.Dict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    id: Id
    name: str
    created_at: Timestamp
    used_at: Timestamp | None


def passkey(one: passkeys.Passkey) -> Passkey:
    return Passkey(id=one.id, name=one.name, created_at=rfc3339(one.created_at), used_at=rfc3339_or_none(one.used_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkeys:
    data: list[Passkey]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    recovery_codes: Annotated[list[str], partial(fields.List, fields.String())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """`suspension`: a moderator gave it, for a time."""

    since: Timestamp
    until: Timestamp | None
    reason: str
    suspension: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FullProfile(Profile):
    """The profile that admins see."""

    ban: Ban | None


def full_profile(user: users.User) -> FullProfile:
    ban = None
    if user.ban is not None:
        ban = Ban(
            since=rfc3339(user.ban.since),
            until=rfc3339_or_none(user.ban.until),
            reason=user.ban.reason,
            suspension=user.ban.is_suspension,
        )
    return FullProfile(**_own(user), ban=ban)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """`expires_in` is the lifetime of the access token in seconds."""

    user: Profile
    access_token: str
    refresh_token: str
    expires_in: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn(SignedIn):
    """`device_id` is for the next log-in from this device."""

    device_id: str
