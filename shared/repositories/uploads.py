"""SQL about uploads that arrive in parts. The files of the parts are stored elsewhere, like those of pictures.

Any process can take the next part: what has arrived is in Postgres and in the pictures' storage. A part counts from the
moment that its transaction commits, and only if the upload has not moved on meanwhile. So of two requests that append
at the same offset one is refused, also if they reach different processes. `pictures.py` says how no file is lost or
left over.
"""

from __future__ import annotations

from shared.access.policy import Action
from shared.domain.pictures import FilesGivenUp
from shared.domain.uploads import (
    MAX_UPLOADS,
    CompletedUpload,
    MismatchingOffset,
    Upload,
    UploadNotFound,
    UploadsFull,
)
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require

_COLUMNS = "id, user_id, listing_id, length, arrived, picture_id, expires_at"

# Uploads that begin at the same time wait for each other, so that they do not pass the limit together.
_TURN = Statement("upload_turn", "SELECT pg_advisory_xact_lock(7239870113)")
_MAKE_ROOM = Statement(
    "upload_make_room",
    """DELETE FROM uploads WHERE id = ANY (ARRAY(
           SELECT id FROM uploads WHERE user_id = $1 ORDER BY expires_at > now() DESC, touched_at DESC OFFSET $2))""",
    ("bigint", "integer"),
)
_RESERVED = Statement(
    "upload_reserved",
    "SELECT coalesce(sum(length), 0)::bigint FROM uploads WHERE picture_id IS NULL AND expires_at > now()",
)
_BEGIN = Statement(
    "upload_begin",
    f"""INSERT INTO uploads (user_id, listing_id, length, expires_at)
        VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING {_COLUMNS}""",
    ("bigint", "bigint", "bigint", "double precision"),
)
_OF = Statement(
    "upload_of",
    f"SELECT {_COLUMNS} FROM uploads WHERE id = $1 AND user_id = $2 AND expires_at > now()",
    ("bigint", "bigint"),
)
_ARRIVED = Statement("upload_part_arrived", "DELETE FROM abandoned_files WHERE key = $1", ("text",))
_LOCK = Statement(
    "upload_lock",
    "SELECT arrived, picture_id FROM uploads WHERE id = $1 AND expires_at > now() FOR UPDATE",
    ("bigint",),
)
_LOCK_LISTING = Statement("upload_lock_listing", "SELECT FROM listings WHERE id = $1 FOR NO KEY UPDATE", ("bigint",))
_MOVE = Statement(
    "upload_move",
    "UPDATE uploads SET arrived = arrived + $2, touched_at = clock_timestamp() WHERE id = $1 RETURNING arrived",
    ("bigint", "bigint"),
)
_ADD_PART = Statement(
    "upload_add_part",
    "INSERT INTO upload_parts (upload_id, start, key) VALUES ($1, $2, $3)",
    ("bigint", "bigint", "text"),
)
_KEYS = Statement("upload_keys", "SELECT key FROM upload_parts WHERE upload_id = $1 ORDER BY start", ("bigint",))
_FINISH = Statement("upload_finish", "UPDATE uploads SET picture_id = $2 WHERE id = $1", ("bigint", "bigint"))
_FORGET_PARTS = Statement("upload_forget_parts", "DELETE FROM upload_parts WHERE upload_id = $1", ("bigint",))
_END = Statement("upload_end", "DELETE FROM uploads WHERE id = $1 AND picture_id IS NULL", ("bigint",))
_REMOVE_OLD = Statement(
    "upload_remove_old",
    """DELETE FROM uploads WHERE id = ANY (ARRAY(
           SELECT id FROM uploads WHERE expires_at <= now() ORDER BY expires_at LIMIT $1))""",
    ("integer",),
)
MAX_REMOVED = 100
"""Uploads that one step removes."""


class UploadRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def begin(
        self, user_id: int, listing_id: int, length: int, *, owner_id: int, seconds: float, max_bytes: int
    ) -> Upload:
        """Begin an upload that is kept for `seconds`. Raises NoLongerAllowed.

        Raises UploadsFull if all unfinished uploads would then have more than `max_bytes` together.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, user_id, Action.PICTURE_CHANGE, owner_id=owner_id)
            await transaction.fetch(_TURN)
            await transaction.execute(_MAKE_ROOM, user_id, MAX_UPLOADS - 1)
            reserved = await transaction.fetch_one(_RESERVED)
            assert reserved is not None
            if reserved[0] + length > max_bytes:
                raise UploadsFull
            row = await transaction.fetch_one(_BEGIN, user_id, listing_id, length, seconds)
            assert row is not None
            return Upload(*row)

    async def of(self, upload_id: int, user_id: int) -> Upload:
        """Returns an upload of this user. Raises UploadNotFound."""
        row = await self._database.fetch_one(_OF, upload_id, user_id)
        if row is None:
            raise UploadNotFound
        return Upload(*row)

    async def append(self, upload_id: int, offset: int, key: str, size: int) -> int:
        """Count a part that was expected (`PictureRepository.expect`) and is stored. Returns the new offset.

        Raises UploadNotFound, CompletedUpload, MismatchingOffset or FilesGivenUp; then nothing has changed.
        """
        async with self._database.transaction() as transaction:
            arrived = await self._lock(transaction, upload_id)
            if arrived != offset:
                raise MismatchingOffset(arrived)
            if not await transaction.execute(_ARRIVED, key):
                raise FilesGivenUp
            await transaction.execute(_ADD_PART, upload_id, offset, key)
            moved = await transaction.fetch_one(_MOVE, upload_id, size)
            assert moved is not None
            return int(moved[0])

    async def keys(self, upload_id: int) -> list[str]:
        """Returns the keys of the parts, in their order."""
        return [row[0] for row in await self._database.fetch(_KEYS, upload_id)]

    async def hold(self, upload: Upload, *, owner_id: int) -> None:
        """Keep others from finishing the upload until this transaction ends.

        Raises UploadNotFound, CompletedUpload, NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            # The user, the listing, its upload: in this order everywhere, so that two do not wait for each other.
            await require(transaction, upload.user_id, Action.PICTURE_CHANGE, owner_id=owner_id)
            await transaction.fetch(_LOCK_LISTING, upload.listing_id)
            await self._lock(transaction, upload.id)

    async def finish(self, upload_id: int, picture_id: int) -> None:
        """Note the picture that was made of the file, whose parts become abandoned."""
        async with self._database.transaction() as transaction:
            await transaction.execute(_FINISH, upload_id, picture_id)
            await transaction.execute(_FORGET_PARTS, upload_id)

    async def end(self, upload_id: int) -> None:
        """Forget an upload without a picture; its parts become abandoned."""
        await self._database.execute(_END, upload_id)

    async def _lock(self, transaction: Transaction, upload_id: int) -> int:
        row = await transaction.fetch_one(_LOCK, upload_id)
        if row is None:
            raise UploadNotFound
        if row[1] is not None:
            raise CompletedUpload
        return int(row[0])


async def remove_old_uploads(transaction: Transaction) -> bool:
    """Remove some uploads whose time is over. Returns whether these were all."""
    return await transaction.execute(_REMOVE_OLD, MAX_REMOVED) < MAX_REMOVED
