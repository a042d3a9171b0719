"""Users: their profile, their role, their bans. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

MAX_NAME_LENGTH = 100
MAX_EMAIL_LENGTH = 254
MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 200
MAX_REASON_LENGTH = 1000
"""The limit of the reason for a sanction, in characters."""
MAX_SEARCH_LENGTH = 200
"""The limit of a search for users, in characters."""


class Role(StrEnum):
    """A registered user's role."""

    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban: since when, until when (None: until it is lifted), and why."""

    since: datetime
    until: datetime | None
    reason: str
    is_suspension: bool = False
    """True if a moderator gave it for a time."""


@dataclass(frozen=True, slots=True)
class User:
    """A registered user."""

    id: int
    email: str
    name: str
    role: Role
    created_at: datetime
    ban: Ban | None = None
    """None also if the ban has run out."""
    is_confirmed: bool = True
    """Whether the e-mail address was confirmed."""
    must_confirm: bool = False
    """Whether the user may neither publish nor write first until then."""
    new_email: str | None = None
    """The address that will replace `email` when it is confirmed."""
    has_warning: bool = False
    """Whether the user has a warning to read, and may neither publish nor write until then."""
    takes_requests: bool = True
    """Whether people may write to the user about anything, or first only about a listing of the user."""
    blocked_anew_by: Sequence[int] = ()
    """Who had blocked an account with this address before, and blocks the user from now on."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account to which somebody wants to log in by an e-mail address, whether or not it exists."""

    name: str
    """The same text for all spellings of one address, also if nobody is registered with it."""
    user: User | None
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class PublicUser:
    """What other users see of a user."""

    id: int
    name: str
    role: Role
    created_at: datetime


# A node reads one at each connect, and a Struct takes a fifth of a dataclass's time to make.
class Standing(msgspec.Struct, frozen=True, gc=False):
    """The state of a user and one of their sessions that decides on admission. Deleted accounts have none."""

    name: str
    role: Role
    is_banned: bool
    is_revoked: bool
    """True if the session was logged out or ended in another way."""
    tokens_valid_after: int | None = None
    """Seconds since the epoch: a token without a stored session admits only if it was issued later. None admits all."""
    lacks_second_factor: bool = False
    """True of moderators and admins without one."""
    must_confirm: bool = False
    """True if the user may neither publish nor write first until the address is confirmed."""
    has_warning: bool = False
    """True if the user may neither publish nor write until a warning is read."""
    created_at: int = 0
    """When the account was made, in seconds since the epoch; 0 if that limits nobody, as with moderators and admins."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is used; both are "" if unknown."""

    device: str = ""
    """Short words for people, such as "Firefox on Windows"."""
    address: str = ""
    """The IP address; of IPv6 only the /64 network."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has not ended. It ends at `expires_at` unless it is refreshed."""

    id: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime
    """When it was refreshed last, or began."""
    place: Place


class SessionNotFound(Exception):
    """The user has no such session, or it has ended."""


class EmailTaken(Exception):
    """Another user is registered with this e-mail address."""


class NotConfirmed(Exception):
    """The user has not confirmed the e-mail address yet, and may neither publish nor write first."""


class UnreadWarning(Exception):
    """The user has a warning to read, and may neither publish nor write until then."""


class LastAdmin(Exception):
    """The last admin can neither lose the role nor delete the account."""


class PasswordChanged(Exception):
    """The password was changed after it was checked."""


class NoLongerAllowed(Exception):
    """The user who acts has left, was banned or lost the role after the request was admitted."""


class NewAccountLimited(Exception):
    """The account is too new to do this once more today. `again_at` is when it may, in `seconds`."""

    def __init__(self, again_at: datetime, seconds: int) -> None:
        super().__init__(f"again at {again_at}")
        self.again_at = again_at
        self.seconds = seconds


class UserNotFound(Exception):
    """The user does not exist, or the account was deleted."""
