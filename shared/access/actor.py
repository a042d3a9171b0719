"""Who asks: a visitor, or a user as Postgres knows them at this moment. Pure."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from shared.domain.users import Role


class Kind(IntEnum):
    """The columns of the permission table."""

    VISITOR = 0
    USER = 1
    MODERATOR = 2
    ADMIN = 3


KIND_OF_ROLE = {Role.USER: Kind.USER, Role.MODERATOR: Kind.MODERATOR, Role.ADMIN: Kind.ADMIN}


# A gateway holds one for each connection. It refers to nothing that refers back, so the collector need not look at it.
class Actor(msgspec.Struct, frozen=True, gc=False):
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

    def with_role(self, role: Role) -> Actor:
        """The same user, whose role has changed."""
        return Actor(self.user_id, self.session_id, role, self.name, self.token_expires_at)


def kind_of(actor: Actor | None) -> Kind:
    """None is a visitor."""
    return Kind.VISITOR if actor is None else actor.kind
