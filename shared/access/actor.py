"""Who asks: a visitor, or a user as Postgres knows them at this moment. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from shared.domain.users import Role


class Kind(IntEnum):
    """The columns of the permission table."""

    VISITOR = 0
    USER = 1
    MODERATOR = 2
    ADMIN = 3


KIND_OF_ROLE = {Role.USER: Kind.USER, Role.MODERATOR: Kind.MODERATOR, Role.ADMIN: Kind.ADMIN}


@dataclass(frozen=True, slots=True)
class Actor:
    """A registered user, by a good token of a living session."""

    user_id: int
    session_id: str
    role: Role
    name: str
    token_expires_at: int
    """Seconds since the epoch."""

    @property
    def kind(self) -> Kind:
        return KIND_OF_ROLE[self.role]


def kind_of(actor: Actor | None) -> Kind:
    """None is a visitor."""
    return Kind.VISITOR if actor is None else actor.kind
