"""SQL that erases what is personal of people who have left, some days after they left.

The row of an account is emptied at once when its owner leaves (users.py), and the listings go to the trash, where
moderators can still look into a fraud. The steps here delete the rest for good: the listings with their pictures,
replies and reports, the texts of the reports that the person made, their blocks, whom they let write to them, and their
sessions. The files of the
pictures become abandoned in the same transaction (pictures.py), and are deleted after it.

A person's alerts, favourites, saved searches and repeatable requests go too, and what others have of these that is
about the deleted listings. So do the sanctions against the person with their objections, and what moderators noted
about the person and the listings.

So do the pictures of messages that the person sent.

Messages and replies to other people's listings stay, because they are part of other people's conversations. The audit
log stays as well: no row of it is ever changed. The row in `users` stays, empty, because all of these refer to it.

Each step is a transaction that changes a bounded number of rows, so no lock is held for long. A user is marked as
erased in the last one: a process that dies between two steps leaves the user to the next process.
"""

from __future__ import annotations

from shared.postgres import Statement, Transaction

MAX_LISTINGS = 50
"""Listings that one step deletes. Each has at most `MAX_PICTURES` pictures."""
MAX_ROWS = 500
"""Rows of any other kind that one step changes."""

_NEXT = Statement(
    "erase_next",
    """SELECT id FROM users WHERE erased_at IS NULL AND deleted_at <= now() - make_interval(days => $1)
       ORDER BY deleted_at, id LIMIT 1""",
    ("integer",),
)
# The listings that go next: these statements first delete what belongs to them, because there may be any number of
# replies and the like. ANY of an array, and not IN, so that the planner reads the rows by their index.
_FIRST_LISTINGS = "SELECT l.id FROM listings l WHERE l.seller_id = $1 ORDER BY l.id LIMIT $2"
_OF_FIRST_LISTINGS = """DELETE FROM {table} WHERE ctid = ANY (ARRAY(
           SELECT one.ctid FROM ({listings}) AS listing CROSS JOIN LATERAL (
               SELECT r.ctid FROM {table} r WHERE r.listing_id = listing.id LIMIT $3
           ) AS one LIMIT $3))"""
_OF_LISTINGS = tuple(
    Statement(
        f"erase_{table}",
        _OF_FIRST_LISTINGS.format(table=table, listings=_FIRST_LISTINGS),
        ("bigint", "integer", "integer"),
    )
    for table in ("replies", "reports", "alerts", "favourites", "told_matches")
)
_LISTINGS = Statement(
    "erase_listings", f"DELETE FROM listings WHERE id = ANY (ARRAY({_FIRST_LISTINGS}))", ("bigint", "integer")
)
_REPORT_TEXTS = Statement(
    "erase_report_texts",
    """UPDATE reports SET text = NULL WHERE id = ANY (ARRAY(
           SELECT id FROM reports WHERE reporter_id = $1 AND text IS NOT NULL LIMIT $2))""",
    ("bigint", "integer"),
)
_BLOCKS = Statement(
    "erase_blocks",
    """DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = ANY (ARRAY(
           SELECT blocked_id FROM blocks WHERE blocker_id = $1 LIMIT $2))""",
    ("bigint", "integer"),
)
# Nobody writes to who has left, so no insert of a message waits for these rows.
_CONTACTS = Statement(
    "erase_contacts",
    """DELETE FROM contacts WHERE user_id = $1 AND other_id = ANY (ARRAY(
           SELECT other_id FROM contacts WHERE user_id = $1 LIMIT $2))""",
    ("bigint", "integer"),
)
_SESSIONS = Statement(
    "erase_sessions",
    "DELETE FROM sessions WHERE id = ANY (ARRAY(SELECT id FROM sessions WHERE user_id = $1 LIMIT $2))",
    ("bigint", "integer"),
)
# Messages first: no message names a picture that is gone.
_PICTURES_OF_MESSAGES = (
    Statement(
        "erase_pictures_in_messages",
        """UPDATE messages SET pictures = NULL WHERE pictures IS NOT NULL AND id = ANY (ARRAY(
               SELECT message_id FROM message_pictures WHERE owner_id = $1 ORDER BY id LIMIT $2))""",
        ("bigint", "integer"),
    ),
    Statement(
        "erase_message_pictures",
        """DELETE FROM message_pictures WHERE id = ANY (ARRAY(
               SELECT id FROM message_pictures WHERE owner_id = $1 ORDER BY id LIMIT $2))""",
        ("bigint", "integer"),
    ),
)
_OF_PERSON = (
    Statement(
        "erase_repeatable_requests",
        """DELETE FROM repeatable_requests WHERE user_id = $1 AND key = ANY (ARRAY(
               SELECT key FROM repeatable_requests WHERE user_id = $1 LIMIT $2))""",
        ("bigint", "integer"),
    ),
    Statement(
        "erase_beginnings",
        """DELETE FROM beginnings WHERE user_id = $1 AND other_id = ANY (ARRAY(
               SELECT other_id FROM beginnings WHERE user_id = $1 LIMIT $2))""",
        ("bigint", "integer"),
    ),
    Statement(
        "erase_uploads",
        "DELETE FROM uploads WHERE id = ANY (ARRAY(SELECT id FROM uploads WHERE user_id = $1 LIMIT $2))",
        ("bigint", "integer"),
    ),
    Statement("erase_daily_mails", "DELETE FROM daily_mails WHERE user_id = $1 AND $2 > 0", ("bigint", "integer")),
    Statement(
        "erase_mail_choices",
        """DELETE FROM mail_choices WHERE user_id = $1 AND kind = ANY (ARRAY(
               SELECT kind FROM mail_choices WHERE user_id = $1 LIMIT $2))""",
        ("bigint", "integer"),
    ),
    *(
        Statement(
            f"erase_own_{table}",
            f"DELETE FROM {table} WHERE id = ANY (ARRAY(SELECT id FROM {table} WHERE user_id = $1 LIMIT $2))",
            ("bigint", "integer"),
        )
        for table in ("alerts", "favourites", "sanctions", "notes")
    ),
    Statement(
        "erase_waiting_news",
        """DELETE FROM waiting_news WHERE ctid = ANY (ARRAY(
               SELECT ctid FROM waiting_news WHERE user_id = $1 LIMIT $2))""",
        ("bigint", "integer"),
    ),
    Statement(
        "erase_told_matches_of_searches",
        """DELETE FROM told_matches WHERE ctid = ANY (ARRAY(
               SELECT t.ctid FROM saved_searches s JOIN told_matches t ON t.search_id = s.id
               WHERE s.user_id = $1 LIMIT $2))""",
        ("bigint", "integer"),
    ),
    Statement(
        "erase_searches",
        "DELETE FROM saved_searches WHERE id = ANY (ARRAY(SELECT id FROM saved_searches WHERE user_id = $1 LIMIT $2))",
        ("bigint", "integer"),
    ),
)
_ERASED = Statement(
    "erase_done",
    """UPDATE users SET erased_at = now(), banned_at = NULL, banned_until = NULL, banned_by = NULL, ban_reason = NULL
       WHERE id = $1""",
    ("bigint",),
)


async def erase_some(transaction: Transaction, *, after_days: int) -> bool:
    """Erase the next part of the person who left first, of those who left at least `after_days` ago.

    Returns whether all of these people are erased, so that nothing is left to do.
    """
    user = await transaction.fetch_one(_NEXT, after_days)
    if user is None:
        return True
    if await _erase_part(transaction, user[0]):
        await transaction.execute(_ERASED, user[0])
    return False


async def _erase_part(transaction: Transaction, user_id: int) -> bool:
    """Erase a bounded part of what the user has left behind. Returns whether it was the last part."""
    for statement in _OF_LISTINGS:
        if await transaction.execute(statement, user_id, MAX_LISTINGS, MAX_ROWS) == MAX_ROWS:
            return False
    if await transaction.execute(_LISTINGS, user_id, MAX_LISTINGS) == MAX_LISTINGS:
        return False
    for statement in (*_PICTURES_OF_MESSAGES, *_OF_PERSON, _REPORT_TEXTS, _BLOCKS, _CONTACTS, _SESSIONS):
        if await transaction.execute(statement, user_id, MAX_ROWS) == MAX_ROWS:
            return False
    return True
