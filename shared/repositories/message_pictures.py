"""SQL about pictures of private messages: uploaded first, then sent with a message, and seen by its two sides only.

The files are kept as those of listings are (pictures.py): a file's key is in a row, or among the abandoned ones. A
picture that is not sent is deleted after some hours. A picture goes with its message, and with the account of its
owner. Only if there is an open report of the message, its pictures wait, for moderators alone, until that report is
resolved: nobody gets rid of a report by deleting what it is about. Moderators also see the pictures of a message that
waits for their decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.access.policy import Action
from shared.domain.messages import MAX_UNSENT_PICTURES, UNSENT_PICTURE_HOURS, TooManyUnsentPictures
from shared.domain.pictures import FilesGivenUp, MessagePicture, NewPicture, PictureNotFound
from shared.events.messages import picture_payload
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record
from shared.repositories.pictures import ARRIVED, STORED, STORED_TYPES, stored
from shared.repositories.turns import HURRY

_COLUMNS = """p.id, p.key, p.content_type, p.width, p.height, p.medium_key, p.medium_content_type, p.medium_width,
    p.thumbnail_key, p.thumbnail_content_type, p.thumbnail_width"""
_MOST_REMOVED = 500

# Uploads of one person wait for each other, so that two of them cannot both be the last one allowed.
_LOCK = Statement(
    "message_picture_lock", "SELECT pg_advisory_xact_lock(hashtextextended('message pictures', $1))", ("bigint",)
)
_COUNT = Statement(
    "message_picture_count",
    "SELECT count(*) FROM message_pictures WHERE owner_id = $1 AND message_id IS NULL",
    ("bigint",),
)
_ADD = Statement(
    "message_picture_add",
    f"""INSERT INTO message_pictures AS p (owner_id, {", ".join(STORED)})
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING {_COLUMNS}""",
    ("bigint", *STORED_TYPES),
)
# One that is about to be deleted for its age is not taken.
_TAKE = Statement(
    "message_picture_take",
    f"""SELECT {_COLUMNS} FROM message_pictures p WHERE p.id = ANY ($1) AND p.owner_id = $2 AND p.message_id IS NULL
        AND p.created_at > now() - make_interval(hours => $3) ORDER BY p.id FOR UPDATE""",
    ("bigint[]", "bigint", "integer"),
)
# Only a message of this transaction: one that a repeat found has the pictures that it was sent with.
_ATTACH = Statement(
    "message_picture_attach",
    """WITH message AS (
           UPDATE messages SET pictures = $3 WHERE id = $1 AND xmin = pg_current_xact_id()::xid RETURNING id
       )
       UPDATE message_pictures p SET message_id = message.id FROM message WHERE p.id = ANY ($2)""",
    ("bigint", "bigint[]", "jsonb"),
)
_DISCARD = Statement(
    "message_picture_discard",
    "DELETE FROM message_pictures WHERE id = $1 AND owner_id = $2 AND message_id IS NULL",
    ("bigint", "bigint"),
)
_FIND = Statement(
    "message_picture_find",
    f"""SELECT {_COLUMNS}, p.message_id,
               NOT p.is_of_deleted AND (p.owner_id = $2 OR EXISTS (
                   SELECT FROM messages m WHERE m.id = p.message_id AND m.to_id = $2 AND m.held_at IS NULL)),
               (SELECT min(r.id) FROM reports r WHERE r.message_id = p.message_id),
               (SELECT h.hold_id FROM held_messages h JOIN holds o ON o.id = h.hold_id
                WHERE h.message_id = p.message_id AND o.decided_at IS NULL), p.owner_id
        FROM message_pictures p WHERE p.id = $1""",
    ("bigint", "bigint"),
)


def is_reported(message_id: str) -> str:
    """Returns SQL: true while there is an open report of this message."""
    return f"EXISTS (SELECT FROM reports r WHERE r.message_id = {message_id} AND r.resolved_at IS NULL)"


_REMOVE_UNSENT = Statement(
    "message_picture_remove_unsent",
    """DELETE FROM message_pictures WHERE id = ANY (ARRAY(
           SELECT id FROM message_pictures
           WHERE message_id IS NULL AND created_at < now() - make_interval(hours => $1, mins => 10)
           ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))""",
    ("integer", "integer"),
)
_REMOVE_RESOLVED = Statement(
    "message_picture_remove_resolved",
    f"""DELETE FROM message_pictures WHERE id = ANY (ARRAY(
           SELECT p.id FROM message_pictures p
           WHERE p.is_of_deleted AND NOT {is_reported("p.message_id")} LIMIT $1))""",
    ("integer",),
)


class FoundPicture(NamedTuple):
    """A picture, and who may see it."""

    picture: MessagePicture
    message_id: int | None
    is_of_side: bool
    """True if the user who asks is a side of its message, or has uploaded it."""
    report_id: int | None
    """The first report of its message, if there is one: then moderators may see it."""
    hold_id: int | None
    """The hold in which its message waits for a decision, if it does: then moderators may see it."""
    owner_id: int


class MessagePictureRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def add(self, picture: NewPicture, *, by: int) -> MessagePicture:
        """Add the row of a picture whose files were expected and are stored (`PictureRepository.expect`).

        Raises TooManyUnsentPictures, FilesGivenUp or NoLongerAllowed: then there is no row.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.MESSAGE_SEND)
            await transaction.execute(_LOCK, by)
            count = await transaction.fetch_one(_COUNT, by)
            if count is None or count[0] >= MAX_UNSENT_PICTURES:
                raise TooManyUnsentPictures
            if await transaction.execute(ARRIVED, list(picture.keys)) != len(picture.keys):
                raise FilesGivenUp
            row = await transaction.fetch_one(_ADD, by, *stored(picture))
            assert row is not None
            return MessagePicture(*row)

    async def discard(self, picture_id: int, *, by: int) -> None:
        """Delete a picture of this user that was not sent. Raises PictureNotFound."""
        if not await self._database.execute(_DISCARD, picture_id, by):
            raise PictureNotFound

    async def find(self, picture_id: int, *, for_user: int) -> FoundPicture:
        """Returns the picture, and whether this user may see it. Raises PictureNotFound."""
        row = await self._database.fetch_one(_FIND, picture_id, for_user)
        if row is None:
            raise PictureNotFound
        return FoundPicture(MessagePicture(*row[:-5]), *row[-5:])

    async def note_look(self, found: FoundPicture, *, by: int) -> None:
        """Note in the audit log that a moderator looks at a picture of a reported or held message.

        Raises NoLongerAllowed.
        """
        why, of = ("report", found.report_id) if found.report_id is not None else ("hold", found.hold_id)
        assert of is not None
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_READ)
            # The message or the picture would tell a reported admin, who may read the log, who got it.
            details = {"user_id": found.owner_id}
            await record(transaction, by, "message_picture_look", why, of, details=details)


async def take(transaction: Transaction, owner_id: int, ids: Sequence[int]) -> list[MessagePicture] | None:
    """Returns these unsent pictures of the owner in the order of the ids, locked; None if some are missing."""
    rows = await transaction.fetch(_TAKE, list(ids), owner_id, UNSENT_PICTURE_HOURS)
    found = {row[0]: MessagePicture(*row) for row in rows}
    if len(found) < len(ids):
        return None
    await transaction.execute(HURRY)
    return [found[one] for one in ids]


async def attach(
    transaction: Transaction, message_id: int, pictures: Sequence[MessagePicture]
) -> Sequence[Mapping[str, Any]] | None:
    """Attach pictures that were taken to a message of this transaction, and return them as its payload has them.

    Returns None, and attaches nothing, if the message was stored before.
    """
    shown = [picture_payload(one) for one in pictures]
    json = msgspec.json.encode(shown).decode()
    return shown if await transaction.execute(_ATTACH, message_id, [one.id for one in pictures], json) else None


async def remove_left_over(transaction: Transaction) -> bool:
    """Delete some pictures that were not sent, or whose reports are resolved. Returns whether these were the last."""
    unsent = await transaction.execute(_REMOVE_UNSENT, UNSENT_PICTURE_HOURS, _MOST_REMOVED)
    resolved = await transaction.execute(_REMOVE_RESOLVED, _MOST_REMOVED)
    return max(unsent, resolved) < _MOST_REMOVED
