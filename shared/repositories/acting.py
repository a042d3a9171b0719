"""Checks in the transaction of an act, against the row in Postgres, whether the user who acts may still do so.

A request is admitted before it acts. Meanwhile its user may leave, be banned or lose a role. So each act looks at the
row of its user again, and locks it (`FOR SHARE`): leaving, a ban, a warning or a change of the role then waits until
the act has committed, and an act that comes after it is refused (OWASP ASVS 4.0.3, 11.1.6). Private messages keep this
promise with one lock for many messages, because a lock for each would slow the chat down (messages.py).
"""

from __future__ import annotations

from shared.access.actor import KIND_OF_ROLE, Actor
from shared.access.policy import GRID, PUBLISHING, Action, Grant, may
from shared.domain.users import NoLongerAllowed, Role
from shared.postgres import Statement, Transaction
from shared.repositories.bans import is_banned
from shared.repositories.visibility import effective_role

_IS_WELCOME = f"u.deleted_at IS NULL AND NOT {is_banned('u')}"
_LOCK = Statement(
    "acting_lock",
    f"""SELECT {effective_role("u")} FROM users u
        WHERE u.id = $1 AND {_IS_WELCOME} AND NOT ($2 AND u.has_warning) FOR SHARE""",
    ("bigint", "boolean"),
)


def acting(user: str, action: Action) -> str:
    """Returns a query for a WITH clause. It locks the user's row, and has no row if the user may not do the action now.

    `user` is SQL for the id. Columns: `id`; `may_any`, true if the user may do it to what belongs to others too; and
    `is_admin`.
    """
    is_welcome = f"{_IS_WELCOME} AND NOT u.has_warning" if action in PUBLISHING else _IS_WELCOME
    role = effective_role("u")
    return f"""SELECT u.id, {role} IN ({_roles(action, Grant.ANY)}) AS may_any,
            u.role = '{Role.ADMIN.value}' AS is_admin FROM users u
        WHERE u.id = {user} AND {is_welcome} AND {role} IN ({_roles(action, Grant.ANY, Grant.OWN)}) FOR SHARE"""


async def require(transaction: Transaction, user_id: int, action: Action, *, owner_id: int | None = None) -> Role:
    """Check that the user may still do the action to what belongs to this owner, and keep it so until the commit.

    Returns the role that allows it. Raises NoLongerAllowed.
    """
    row = await transaction.fetch_one(_LOCK, user_id, action in PUBLISHING)
    if row is None or not may_still(user_id, role := Role(row[0]), action, owner_id):
        raise NoLongerAllowed
    return role


def may_still(user_id: int, role: Role, action: Action, owner_id: int | None = None) -> bool:
    """True if a user with this role may do the action to what belongs to this owner."""
    return may(action, Actor(user_id, "", role, "", 0), owner_id=owner_id)


def _roles(action: Action, *grants: Grant) -> str:
    """Returns the roles with one of these grants as SQL literals; a literal that is no role if there are none."""
    roles = [role for role in Role if GRID[action][KIND_OF_ROLE[role]] in grants]
    return ", ".join(f"'{role.value}'" for role in roles) or "''"
