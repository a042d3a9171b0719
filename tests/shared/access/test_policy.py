"""Compares the permission table with the table below, which was written from the product's description."""

from __future__ import annotations

import pytest

from shared.access.actor import Actor
from shared.access.policy import GRID, Action, may, may_ever, needs_login
from shared.domain.users import Role

VISITOR = None
USER, MODERATOR, ADMIN = (Actor(7, "session", role, "Somebody", 0) for role in Role)

# Each row: action, visitor, user, moderator, admin. The last three have a pair: (own thing, another user's thing).
EXPECTED = [
    ("listing_read_public", True, (True, True), (True, True), (True, True)),
    ("category_read_public", True, (True, True), (True, True), (True, True)),
    ("category_read_private", False, (True, True), (True, True), (True, True)),
    ("listing_read_private", False, (True, True), (True, True), (True, True)),
    ("listing_create", False, (True, False), (True, False), (True, False)),
    ("listing_edit", False, (True, False), (True, False), (True, True)),
    ("listing_delete", False, (True, False), (True, False), (True, True)),
    ("listing_read_hidden", False, (True, False), (True, True), (True, True)),
    ("reply_create", False, (True, True), (True, True), (True, True)),
    ("reply_delete", False, (True, False), (True, False), (True, True)),
    ("listing_hide", False, (False, False), (True, True), (True, True)),
    ("category_create", False, (False, False), (True, True), (True, True)),
    ("category_delete", False, (False, False), (True, True), (True, True)),
    ("trash_read", False, (True, False), (True, True), (True, True)),
    ("trash_restore", False, (True, False), (True, True), (True, True)),
    ("trash_delete", False, (False, False), (False, False), (True, True)),
    ("message_send", False, (True, True), (True, True), (True, True)),
    ("message_read", False, (True, False), (True, False), (True, False)),
    ("conversation_read", False, (True, False), (True, False), (True, False)),
    ("role_change", False, (False, False), (False, False), (True, True)),
    ("ban_change", False, (False, False), (False, False), (True, True)),
    ("user_list", False, (False, False), (False, False), (True, True)),
    ("user_read", False, (True, True), (True, True), (True, True)),
    ("audit_read", False, (False, False), (False, False), (True, True)),
    ("report_create", False, (True, True), (True, True), (True, True)),
    ("report_read", False, (False, False), (True, True), (True, True)),
    ("session_create", True, (True, True), (True, True), (True, True)),
    ("account_change", False, (True, False), (True, False), (True, False)),
]


@pytest.mark.parametrize(("name", "visitor", "user", "moderator", "admin"), EXPECTED, ids=lambda value: str(value))
def test_permissions_are_as_described(
    name: str, visitor: bool, user: tuple[bool, bool], moderator: tuple[bool, bool], admin: tuple[bool, bool]
) -> None:
    action = Action(name)
    assert may(action, VISITOR, owner_id=7) is visitor
    assert may_ever(action, VISITOR) is visitor
    assert needs_login(action) is not visitor
    for actor, expected in [(USER, user), (MODERATOR, moderator), (ADMIN, admin)]:
        assert (may(action, actor, owner_id=7), may(action, actor, owner_id=8)) == expected
        assert may_ever(action, actor) is any(expected)


def test_every_action_has_one_row_in_alphabetical_order() -> None:
    assert list(GRID) == list(Action) == sorted(Action)
