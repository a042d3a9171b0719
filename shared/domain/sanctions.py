"""Sanctions: what moderators and admins do to somebody, and what that person says against it. Pure.

A suspension is a ban that a moderator gives for a time; a ban is given by an admin. Each sanction has a reason that the
person is told, and the person can object to it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.users import Role

MAX_SUSPENSION_DAYS = 30
MAX_OBJECTION_LENGTH = 2000
"""The limit of an objection, in characters."""
MAX_NOTE_LENGTH = 2000
"""The limit of a note between moderators, in characters."""
MAX_UNREAD = 20
"""Unread warnings that are shown at once."""
OBJECTION_DAYS = 30
"""How long a token works with which somebody objects. Who logs in, or tries to, gets a new one."""


class SanctionKind(StrEnum):
    """What was done to somebody."""

    WARNING = "warning"
    """A message from the site. Until it is read, the person can neither write nor publish."""
    SUSPENSION = "suspension"
    BAN = "ban"
    HIDING = "hiding"
    """One of the person's listings was hidden."""


class Outcome(StrEnum):
    """What was decided about an objection."""

    KEPT = "kept"
    LIFTED = "lifted"


@dataclass(frozen=True, slots=True)
class Objection:
    """What somebody says against a sanction, and what was decided. The last four are None until then."""

    text: str
    made_at: datetime
    outcome: Outcome | None
    answer: str | None
    decided_at: datetime | None
    decided_by: int | None
    decided_by_name: str | None


@dataclass(frozen=True, slots=True)
class Sanction:
    """What was done to somebody, by whom, and why."""

    id: int
    kind: SanctionKind
    user_id: int
    user_name: str
    listing_id: int | None
    """The hidden listing; None also if it was deleted for good."""
    listing_title: str | None
    by_id: int | None
    by_name: str | None
    reason: str | None
    given_at: datetime
    until: datetime | None
    ended_at: datetime | None
    """When it was lifted, replaced, or passed."""
    read_at: datetime | None
    """When the person confirmed that they have read a warning."""
    objection: Objection | None


@dataclass(frozen=True, slots=True)
class Note:
    """What a moderator wrote about a person or a listing, for the other moderators."""

    id: int
    user_id: int | None
    listing_id: int | None
    author_id: int
    author_name: str
    text: str
    created_at: datetime


def may_sanction(by: Role, whom: Role) -> bool:
    """True if somebody with the first role may warn or suspend somebody with the second one."""
    return whom is Role.USER or by is Role.ADMIN


class StaffProtected(Exception):
    """Only admins sanction moderators and admins."""


class OwnSanction(Exception):
    """Nobody sanctions themselves, nor decides about an objection of their own."""


class BannedAlready(Exception):
    """The user is banned by an admin, so a moderator cannot suspend them."""


class SanctionNotFound(Exception):
    """There is no such sanction, or it is about somebody else."""


class AlreadyObjected(Exception):
    """The person has objected to this sanction before."""


class AlreadyDecided(Exception):
    """Somebody has decided about the objection before."""


class AnotherDecides(Exception):
    """The actor gave the sanction, and somebody else is there who may decide."""


class NoteNotFound(Exception):
    """There is no such note."""
