"""The permission table: every action, for every kind of person, in one grid. Pure; both processes use it.

Where the product's description is silent, the grid follows what users of classifieds sites expect:

- Visitors read public listings in public categories with their pictures and replies, and public categories. They see no
  profiles beyond the seller's name and a few facts about sellers of whom they see a listing, so that nobody can collect
  profiles.
- The owner and moderators see a hidden listing. The owner can still edit and delete it, but not unhide it.
- The owner, moderators and admins see a listing that has ended. Only the owner can renew it.
- Whoever deletes an own listing finds it in the trash for a while, and can take it back; not one that an admin deleted.
- A moderator is a user with additional tools: moderators hide other users' listings, but do not edit or delete them.
- Moderators warn and suspend users, and write notes that only moderators and admins read; each deletes their own notes.
  Whoever has a sanction can object to it, also without being let in.
- An admin may do what a moderator may, and delete anything permanently. Private messages are for their two sides only.
- Everybody reads and changes their own account, blocks, sessions, saved searches, favourites and alerts. Admins do not
  see or change those of others, but for one thing: they see on which devices somebody is logged in, without where, and
  disconnect one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType

from shared.access.actor import Actor, Kind, kind_of


class Action(StrEnum):
    """What can be done, in alphabetical order."""

    ACCOUNT_CHANGE = "account_change"
    ACCOUNT_CREATE = "account_create"
    ACCOUNT_DELETE = "account_delete"
    ACCOUNT_READ = "account_read"
    ACCOUNT_RECOVER = "account_recover"
    ALERT_READ = "alert_read"
    AUDIT_READ = "audit_read"
    BAN_CHANGE = "ban_change"
    BLOCK_CHANGE = "block_change"
    BLOCK_READ = "block_read"
    CATEGORY_CHANGE = "category_change"
    CATEGORY_CREATE = "category_create"
    CATEGORY_DELETE = "category_delete"
    CATEGORY_READ_PRIVATE = "category_read_private"
    CATEGORY_READ_PUBLIC = "category_read_public"
    CONVERSATION_READ = "conversation_read"
    FAVOURITE_CHANGE = "favourite_change"
    FAVOURITE_READ = "favourite_read"
    LISTING_CREATE = "listing_create"
    LISTING_DELETE = "listing_delete"
    LISTING_EDIT = "listing_edit"
    LISTING_HIDE = "listing_hide"
    LISTING_READ_HIDDEN = "listing_read_hidden"
    LISTING_READ_PRIVATE = "listing_read_private"
    LISTING_READ_PUBLIC = "listing_read_public"
    LISTING_RENEW = "listing_renew"
    MESSAGE_DELETE = "message_delete"
    MESSAGE_READ = "message_read"
    MESSAGE_SEND = "message_send"
    NOTE_CREATE = "note_create"
    NOTE_DELETE = "note_delete"
    NOTE_READ = "note_read"
    OBJECTION_CREATE = "objection_create"
    OBJECTION_DECIDE = "objection_decide"
    PASSKEY_CHANGE = "passkey_change"
    PASSWORD_RATE = "password_rate"
    PICTURE_CHANGE = "picture_change"
    REPLY_CREATE = "reply_create"
    REPLY_DELETE = "reply_delete"
    REPORT_CREATE = "report_create"
    REPORT_READ = "report_read"
    REPORT_RESOLVE = "report_resolve"
    ROLE_CHANGE = "role_change"
    SANCTION_READ = "sanction_read"
    SEARCH_CHANGE = "search_change"
    SEARCH_READ = "search_read"
    SECOND_FACTOR_CHANGE = "second_factor_change"
    SECOND_FACTOR_REMOVE = "second_factor_remove"
    SERVICE_READ = "service_read"
    SESSION_CREATE = "session_create"
    SESSION_END = "session_end"
    SYSTEM_CHANGE = "system_change"
    SYSTEM_READ = "system_read"
    TRASH_DELETE = "trash_delete"
    TRASH_READ = "trash_read"
    TRASH_RESTORE = "trash_restore"
    USER_LIST = "user_list"
    USER_READ = "user_read"
    USER_SUSPEND = "user_suspend"
    USER_WARN = "user_warn"


class Grant(Enum):
    """Whether an action is allowed, and on whose objects."""

    NO = "no"
    OWN = "own"
    ANY = "any"


_NO, _OWN, _ANY = Grant.NO, Grant.OWN, Grant.ANY

GRID: Mapping[Action, tuple[Grant, Grant, Grant, Grant]] = MappingProxyType(
    {
        # action                       visitor user  moderator admin
        Action.ACCOUNT_CHANGE:        (_NO,  _OWN, _OWN, _OWN),
        Action.ACCOUNT_CREATE:        (_ANY, _ANY, _ANY, _ANY),
        Action.ACCOUNT_DELETE:        (_NO,  _OWN, _OWN, _OWN),
        Action.ACCOUNT_READ:          (_NO,  _OWN, _OWN, _OWN),
        Action.ACCOUNT_RECOVER:       (_ANY, _ANY, _ANY, _ANY),
        Action.ALERT_READ:            (_NO,  _OWN, _OWN, _OWN),
        Action.AUDIT_READ:            (_NO,  _NO,  _NO,  _ANY),
        Action.BAN_CHANGE:            (_NO,  _NO,  _NO,  _ANY),
        Action.BLOCK_CHANGE:          (_NO,  _OWN, _OWN, _OWN),
        Action.BLOCK_READ:            (_NO,  _OWN, _OWN, _OWN),
        Action.CATEGORY_CHANGE:       (_NO,  _NO,  _ANY, _ANY),
        Action.CATEGORY_CREATE:       (_NO,  _NO,  _ANY, _ANY),
        Action.CATEGORY_DELETE:       (_NO,  _NO,  _ANY, _ANY),
        Action.CATEGORY_READ_PRIVATE: (_NO,  _ANY, _ANY, _ANY),
        Action.CATEGORY_READ_PUBLIC:  (_ANY, _ANY, _ANY, _ANY),
        Action.CONVERSATION_READ:     (_NO,  _OWN, _OWN, _OWN),
        Action.FAVOURITE_CHANGE:      (_NO,  _OWN, _OWN, _OWN),
        Action.FAVOURITE_READ:        (_NO,  _OWN, _OWN, _OWN),
        Action.LISTING_CREATE:        (_NO,  _OWN, _OWN, _OWN),
        Action.LISTING_DELETE:        (_NO,  _OWN, _OWN, _ANY),
        Action.LISTING_EDIT:          (_NO,  _OWN, _OWN, _ANY),
        Action.LISTING_HIDE:          (_NO,  _NO,  _ANY, _ANY),
        Action.LISTING_READ_HIDDEN:   (_NO,  _OWN, _ANY, _ANY),
        Action.LISTING_READ_PRIVATE:  (_NO,  _ANY, _ANY, _ANY),
        Action.LISTING_READ_PUBLIC:   (_ANY, _ANY, _ANY, _ANY),
        Action.LISTING_RENEW:         (_NO,  _OWN, _OWN, _OWN),
        Action.MESSAGE_DELETE:        (_NO,  _OWN, _OWN, _OWN),
        Action.MESSAGE_READ:          (_NO,  _OWN, _OWN, _OWN),
        Action.MESSAGE_SEND:          (_NO,  _ANY, _ANY, _ANY),
        Action.NOTE_CREATE:           (_NO,  _NO,  _ANY, _ANY),
        Action.NOTE_DELETE:           (_NO,  _NO,  _OWN, _ANY),
        Action.NOTE_READ:             (_NO,  _NO,  _ANY, _ANY),
        Action.OBJECTION_CREATE:      (_ANY, _ANY, _ANY, _ANY),
        Action.OBJECTION_DECIDE:      (_NO,  _NO,  _ANY, _ANY),
        Action.PASSKEY_CHANGE:        (_NO,  _OWN, _OWN, _OWN),
        Action.PASSWORD_RATE:         (_ANY, _ANY, _ANY, _ANY),
        Action.PICTURE_CHANGE:        (_NO,  _OWN, _OWN, _ANY),
        Action.REPLY_CREATE:          (_NO,  _ANY, _ANY, _ANY),
        Action.REPLY_DELETE:          (_NO,  _OWN, _OWN, _ANY),
        Action.REPORT_CREATE:         (_NO,  _ANY, _ANY, _ANY),
        Action.REPORT_READ:           (_NO,  _NO,  _ANY, _ANY),
        Action.REPORT_RESOLVE:        (_NO,  _NO,  _ANY, _ANY),
        Action.ROLE_CHANGE:           (_NO,  _NO,  _NO,  _ANY),
        Action.SANCTION_READ:         (_NO,  _NO,  _ANY, _ANY),
        Action.SEARCH_CHANGE:         (_NO,  _OWN, _OWN, _OWN),
        Action.SEARCH_READ:           (_NO,  _OWN, _OWN, _OWN),
        Action.SECOND_FACTOR_CHANGE:  (_NO,  _OWN, _OWN, _OWN),
        Action.SECOND_FACTOR_REMOVE:  (_NO,  _NO,  _NO,  _ANY),
        Action.SERVICE_READ:          (_ANY, _ANY, _ANY, _ANY),
        Action.SESSION_CREATE:        (_ANY, _ANY, _ANY, _ANY),
        Action.SESSION_END:           (_NO,  _OWN, _OWN, _OWN),
        Action.SYSTEM_CHANGE:         (_NO,  _NO,  _NO,  _ANY),
        Action.SYSTEM_READ:           (_NO,  _NO,  _NO,  _ANY),
        Action.TRASH_DELETE:          (_NO,  _NO,  _NO,  _ANY),
        Action.TRASH_READ:            (_NO,  _OWN, _ANY, _ANY),
        Action.TRASH_RESTORE:         (_NO,  _OWN, _ANY, _ANY),
        Action.USER_LIST:             (_NO,  _NO,  _NO,  _ANY),
        Action.USER_READ:             (_NO,  _ANY, _ANY, _ANY),
        Action.USER_SUSPEND:          (_NO,  _NO,  _ANY, _ANY),
        Action.USER_WARN:             (_NO,  _NO,  _ANY, _ANY),
    }
)  # fmt: skip


PUBLISHING = frozenset(
    {
        Action.LISTING_CREATE,
        Action.LISTING_EDIT,
        Action.LISTING_RENEW,
        Action.MESSAGE_SEND,
        Action.PICTURE_CHANGE,
        Action.REPLY_CREATE,
        Action.TRASH_RESTORE,
    }
)
"""What a user with an unread warning cannot do."""


def may_ever(action: Action, actor: Actor | None) -> bool:
    """True if this kind of person may do the action at least on their own objects. A route checks this first."""
    return GRID[action][kind_of(actor)] is not Grant.NO


def may(action: Action, actor: Actor | None, *, owner_id: int | None) -> bool:
    """True if the actor may do the action on an object that belongs to this owner."""
    granted = GRID[action][kind_of(actor)]
    if granted is Grant.OWN:
        return actor is not None and actor.user_id == owner_id
    return granted is Grant.ANY


def needs_login(action: Action) -> bool:
    """True if visitors may not do the action. They are asked to log in (401) instead of being refused (403)."""
    return GRID[action][Kind.VISITOR] is Grant.NO
