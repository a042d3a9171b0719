"""Who makes a request: a visitor, or a user as Postgres knows them now. Pure."""

from __future__ import annotations

from enum import IntEnum

import msgspec
from msgspec import structs

from shared.domain.users import Role


class Kind(IntEnum):
    """The kinds of people, which are the columns of the permission table."""

    VISITOR = 0
    USER = 1
    MODERATOR = 2
    ADMIN = 3


KIND_OF_ROLE = {Role.USER: Kind.USER, Role.MODERATOR: Kind.MODERATOR, Role.ADMIN: Kind.ADMIN}


# A gateway holds one for each connection. An Actor is in no reference cycle, so the garbage collector can skip it.
class Actor(msgspec.Struct, frozen=True, gc=False):
    """A registered user who has shown a valid token of a session that has not ended."""

    user_id: int
    session_id: str
    role: Role
    name: str
    token_expires_at: int
    """Seconds since the epoch."""
    token_issued_at: int = 0
    """Seconds since the epoch; 0 if the token does not say."""
    lacks_second_factor: bool = False
    """True of moderators and admins who, for want of a second factor, have the role of a user now."""
    must_confirm: bool = False
    """True if the user may neither publish nor write first until the address is confirmed."""
    has_warning: bool = False
    """True if the user may neither publish nor write until a warning is read."""
    new_until: int = 0
    """Until when the account counts as new, in seconds since the epoch; 0 if it does not."""

    @property
    def kind(self) -> Kind:
        return KIND_OF_ROLE[self.role]

    def with_role(self, role: Role) -> Actor:
        """Returns the same user with another role."""
        new_until = self.new_until if role is Role.USER else 0
        return structs.replace(self, role=role, lacks_second_factor=False, new_until=new_until)

    def with_warning(self, has_warning: bool) -> Actor:
        """Returns the same user with or without a warning to read."""
        return structs.replace(self, has_warning=has_warning)


def kind_of(actor: Actor | None) -> Kind:
    """Returns the actor's kind; a visitor is None."""
    return Kind.VISITOR if actor is None else actor.kind
