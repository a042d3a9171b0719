"""People: who they are to the others, and to those who decide what they may do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_NAME_LENGTH = 100
MAX_EMAIL_LENGTH = 254
MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 200


class Role(StrEnum):
    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Ban:
    """Who is banned, since when, until when (None: for good), and why."""

    since: datetime
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class User:
    """A registered person."""

    id: int
    email: str
    name: str
    role: Role
    created_at: datetime
    ban: Ban | None = None
    """A ban whose time has passed is None."""


@dataclass(frozen=True, slots=True)
class PublicUser:
    """What others see of a person."""

    id: int
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides whether a user is admitted by one of their sessions. A user who has left has none."""

    name: str
    role: Role
    is_banned: bool
    is_revoked: bool
    """The session was logged out, or ended otherwise."""


class EmailTaken(Exception):
    """Another person is registered with this e-mail address."""


class LastAdmin(Exception):
    """The last admin can neither lose the role nor leave."""


class UserNotFound(Exception):
    """No such user, or one who has left."""
