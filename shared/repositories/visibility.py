"""Who may see a listing: one SQL condition for all statements that read listings, and the permissions that it needs.

A listing counts as trashed if it was moved to the trash or if its category was deleted. A hidden listing stays hidden
until its time has passed. The listings of a banned seller count as hidden: only moderators and admins see them. A
listing has ended when its `expires_at` has come: from that moment on only its seller, moderators and admins see it.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.access.actor import KIND_OF_ROLE, Actor
from shared.access.policy import GRID, Action, Grant, may
from shared.domain.users import Role
from shared.postgres.session import STAFF_NEEDS_SECOND_FACTOR
from shared.repositories.bans import is_banned

IS_HIDDEN = "(l.hidden_at IS NOT NULL AND (l.hidden_until IS NULL OR l.hidden_until > now()))"
HAS_ENDED = "(l.expires_at <= now())"
IN_TRASH = "(l.trashed_at IS NOT NULL OR c.deleted_at IS NOT NULL)"
SELLER_IS_BANNED = is_banned("s")


@dataclass(frozen=True, slots=True)
class Viewer:
    """What decides which listings somebody may see: the parameters of `visible_to`, in this order."""

    user_id: int | None
    """None for a visitor. Owners see their own listings, also hidden and ended ones."""
    sees_private: bool
    sees_hidden: bool

    @classmethod
    def of(cls, actor: Actor | None) -> Viewer:
        """Returns the viewer for an actor; None is a visitor."""
        return cls(
            None if actor is None else actor.user_id,
            may(Action.LISTING_READ_PRIVATE, actor, owner_id=None),
            may(Action.LISTING_READ_HIDDEN, actor, owner_id=None),
        )

    @classmethod
    def of_role(cls, role: Role) -> Viewer:
        """Returns a viewer with this role who owns none of the listings in question."""
        return cls.of(Actor(user_id=0, session_id="", role=role, name="", token_expires_at=0))

    @property
    def grants_as_sql(self) -> tuple[str, str]:
        """The last two parameters of `visible_to` as SQL, for statements about many people."""
        return str(self.sees_private).lower(), str(self.sees_hidden).lower()

    @property
    def parameters(self) -> tuple[int | None, bool, bool]:
        return self.user_id, self.sees_private, self.sees_hidden


def effective_role(user: str) -> str:
    """Returns the role whose rights the user of this table or alias has, as SQL, for statements about many people.

    Where staff needs a second factor, those without one may do only what users may (shared/access/admission.py).
    """
    needs = f"current_setting('{STAFF_NEEDS_SECOND_FACTOR}', true) = 'on'"
    return f"(CASE WHEN {needs} AND NOT {user}.has_second_factor THEN '{Role.USER.value}' ELSE {user}.role END)"


def sees_hidden(user: str) -> str:
    """Returns whether the user of this table or alias sees hidden listings, as SQL."""
    roles = [role for role in Role if GRID[Action.LISTING_READ_HIDDEN][KIND_OF_ROLE[role]] is Grant.ANY]
    return f"{effective_role(user)} IN ({', '.join(repr(role.value) for role in roles)})"


TYPES = ("bigint", "boolean", "boolean")
"""The SQL types of the three parameters."""


def visible_to(user_id: str, sees_private: str, sees_hidden: str) -> str:
    """Returns the condition on listings `l`, their categories `c` and sellers `s`. Arguments are SQL for a `Viewer`."""
    return _visible(user_id, sees_private, sees_hidden, f"NOT {IS_HIDDEN} AND NOT {HAS_ENDED}")


def visible_until_its_end(user_id: str, sees_private: str, sees_hidden: str) -> str:
    """Returns the same condition, also true of a listing that would be seen if it had not ended."""
    return _visible(user_id, sees_private, sees_hidden, f"NOT {IS_HIDDEN}")


def _visible(user_id: str, sees_private: str, sees_hidden: str, is_on_show: str) -> str:
    # The listings of users who have left are in the trash. The second condition hides such a listing even if it is not.
    return f"""NOT {IN_TRASH} AND s.deleted_at IS NULL
        AND ({sees_private} OR (l.visibility = 'public' AND c.visibility = 'public'))
        AND ({sees_hidden} OR (NOT {SELLER_IS_BANNED} AND ({is_on_show} OR l.seller_id = {user_id})))"""


FOR_ANYONE = visible_to("NULL::bigint", "false", "false")
"""The condition for visitors."""
