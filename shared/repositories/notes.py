"""SQL about the notes that moderators write to each other about a person or a listing."""

from __future__ import annotations

from shared.access.policy import Action
from shared.domain.sanctions import Note, NoteNotFound
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record

_COLUMNS = "n.id, n.user_id, n.listing_id, n.author_id, a.name, n.text, n.created_at"
_ADD = Statement(
    "note_add",
    f"""WITH n AS (INSERT INTO notes (user_id, listing_id, author_id, text) VALUES ($1, $2, $3, $4) RETURNING *)
        SELECT {_COLUMNS} FROM n JOIN users a ON a.id = n.author_id""",
    ("bigint", "bigint", "bigint", "text"),
)
_ABOUT = Statement(
    "notes_about",
    f"""SELECT {_COLUMNS} FROM notes n JOIN users a ON a.id = n.author_id
        WHERE (n.user_id = $1 OR n.listing_id = $2) AND n.id < $3 ORDER BY n.id DESC LIMIT $4""",
    ("bigint", "bigint", "bigint", "integer"),
)
_BY_ID = Statement(
    "note_by_id",
    f"""SELECT {_COLUMNS} FROM notes n JOIN users a ON a.id = n.author_id LEFT JOIN listings l ON l.id = n.listing_id
        WHERE n.id = $1 AND (n.author_id = $2 OR coalesce(n.user_id, l.seller_id) IS DISTINCT FROM $2)""",
    ("bigint", "bigint"),
)
_DELETE = Statement("note_delete", "DELETE FROM notes WHERE id = $1", ("bigint",))


class NoteRepository:
    """Every method raises DatabaseUnavailable while Postgres is away.

    The audit log has that a note was written or deleted, and not its text: no row of the log is ever erased.
    """

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def add(self, text: str, *, by: int, user_id: int | None = None, listing_id: int | None = None) -> Note:
        """Add a note about a user or a listing. Raises NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.NOTE_CREATE)
            row = await transaction.fetch_one(_ADD, user_id, listing_id, by, text)
            assert row is not None
            note = Note(*row)
            await _record(transaction, by, "note_add", note)
            return note

    async def about(
        self, *, user_id: int | None = None, listing_id: int | None = None, before_id: int, limit: int
    ) -> list[Note]:
        """Returns the notes about a user or a listing with ids below `before_id`, latest first."""
        return [Note(*row) for row in await self._database.fetch(_ABOUT, user_id, listing_id, before_id, limit)]

    async def by_id(self, note_id: int, *, by: int) -> Note:
        """Returns the note.

        Raises NoteNotFound, also if it is about the user `by` or their listing, and somebody else has written it.
        """
        row = await self._database.fetch_one(_BY_ID, note_id, by)
        if row is None:
            raise NoteNotFound
        return Note(*row)

    async def delete(self, note: Note, *, by: int) -> None:
        """Delete a note. Raises NoteNotFound or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.NOTE_DELETE, owner_id=note.author_id)
            if not await transaction.execute(_DELETE, note.id):
                raise NoteNotFound
            await _record(transaction, by, "note_delete", note)


async def _record(transaction: Transaction, by: int, action: str, note: Note) -> None:
    kind, target_id = ("listing", note.listing_id) if note.user_id is None else ("user", note.user_id)
    assert target_id is not None
    await record(transaction, by, action, kind, target_id, details={"note_id": note.id})
