"""SQL about pictures: the rows of pictures, and the keys of files without a row. The files are stored elsewhere.

Every file's key is in `pictures` or in `abandoned_files`, from before it is stored until it is deleted. `expect` enters
the keys of a new picture as abandoned from a future time on. `add` moves them to the picture's row in one transaction.
When that row is deleted, alone or with its listing, a trigger enters the keys as abandoned again. `delete_files`
deletes the files that are due. So no file is lost or left over, whichever process dies and whether or not the answer
to a COMMIT arrives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter

from shared.access.policy import Action
from shared.domain.pictures import (
    MAX_PICTURES,
    FilesGivenUp,
    Likeness,
    LikenessState,
    ListingIsFull,
    NewPicture,
    NotItsPictures,
    Picture,
    PictureNotFound,
    SmallerSizes,
)
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record

_COLUMNS = """id, listing_id, key, content_type, width, height, medium_key, medium_content_type, medium_width,
    thumbnail_key, thumbnail_content_type, thumbnail_width"""

# A listing changes with its pictures. Its row is locked first: additions to one listing wait for each other here, and
# two pictures cannot both be the last one allowed.
_TOUCH_LISTING = Statement(
    "picture_touch_listing",
    "UPDATE listings SET updated_at = clock_timestamp() WHERE id = $1 AND trashed_at IS NULL",
    ("bigint",),
)
_EXPECT = Statement(
    "picture_expect",
    "INSERT INTO abandoned_files (key, since) SELECT key, now() + make_interval(secs => $2) FROM unnest($1) AS key",
    ("text[]", "double precision"),
)
ARRIVED = Statement("picture_arrived", "DELETE FROM abandoned_files WHERE key = ANY ($1)", ("text[]",))
_COUNT = Statement("picture_count", "SELECT count(*) FROM pictures WHERE listing_id = $1", ("bigint",))
STORED = (
    *("key", "content_type", "size", "width", "height"),
    *("medium_key", "medium_content_type", "medium_size", "medium_width"),
    *("thumbnail_key", "thumbnail_content_type", "thumbnail_size", "thumbnail_width"),
)
"""The columns of a NewPicture, in `pictures` and in `message_pictures`; its fields have the same names."""
STORED_TYPES = (*("text", "text", "bigint", "integer", "integer"), *("text", "text", "bigint", "integer") * 2)
stored = attrgetter(*STORED)
_ADD = Statement(
    "picture_add",
    f"""INSERT INTO pictures (listing_id, {", ".join(STORED)}, likeness)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING {_COLUMNS}""",
    ("bigint", *STORED_TYPES, "text"),
)
_KEEP_LIKENESS = Statement(
    "picture_keep_likeness",
    """INSERT INTO picture_likenesses (picture_id, reach, frequencies, print, looked_at)
       VALUES ($1, cube($2::float8[], $3::float8[]), $4, $5, CASE WHEN $6 THEN now() END) ON CONFLICT DO NOTHING""",
    ("bigint", "float8[]", "float8[]", "real[]", "bytea", "boolean"),
)
_BY_ID = Statement("picture_by_id", f"SELECT {_COLUMNS} FROM pictures WHERE id = $1", ("bigint",))
_DELETE = Statement("picture_delete", "DELETE FROM pictures WHERE id = $1", ("bigint",))
_IN_ORDER = Statement(
    "picture_in_order", "SELECT id FROM pictures WHERE listing_id = $1 ORDER BY position, id", ("bigint",)
)
_PLACE = Statement(
    "picture_place",
    """UPDATE pictures SET position = placed.position
       FROM unnest($1) WITH ORDINALITY AS placed (id, position) WHERE pictures.id = placed.id""",
    ("bigint[]",),
)
_WITHOUT_MEDIUM = Statement(
    "picture_without_medium",
    f"SELECT {_COLUMNS} FROM pictures WHERE medium_key IS NULL AND id > $1 ORDER BY id LIMIT $2",
    ("bigint", "integer"),
)
_GIVE_SIZES = Statement(
    "picture_give_sizes",
    """UPDATE pictures SET medium_key = $2, medium_content_type = $3, medium_size = $4, medium_width = $5,
                          thumbnail_key = $6, thumbnail_content_type = $7, thumbnail_size = $8, thumbnail_width = $9
       WHERE id = $1 AND medium_key IS NULL""",
    ("bigint", *("text", "text", "bigint", "integer") * 2),
)
_WITHOUT_LIKENESS = Statement(
    "picture_without_likeness",
    f"SELECT {_COLUMNS} FROM pictures WHERE likeness IS NULL AND id > $1 ORDER BY id LIMIT $2",
    ("bigint", "integer"),
)
# Versions before this column kept likenesses without noting it here.
_NOTE_LIKENESS = Statement(
    "picture_note_likeness",
    """UPDATE pictures SET likeness = CASE
           WHEN EXISTS (SELECT FROM picture_likenesses k WHERE k.picture_id = pictures.id) THEN 'kept' ELSE $3 END
       WHERE id = $1 AND thumbnail_key = $2 AND likeness IS NULL""",
    ("bigint", "text", "text"),
)
_TAKE_ABANDONED = Statement(
    "picture_take_abandoned",
    """DELETE FROM abandoned_files WHERE key IN (
           SELECT key FROM abandoned_files WHERE since <= now() ORDER BY since LIMIT $1 FOR UPDATE SKIP LOCKED
       ) RETURNING key""",
    ("integer",),
)


def stored_likeness(likeness: Likeness) -> tuple[list[float], list[float], list[float], bytes]:
    """Returns two corners of its reach, its frequencies and its print, as parameters of a statement."""
    sides = list(zip(likeness.indexed, likeness.reach, strict=True))
    lower, upper = [at - reach for at, reach in sides], [at + reach for at, reach in sides]
    return lower, upper, list(likeness.frequencies), likeness.print


class PictureRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def expect(self, keys: Sequence[str], seconds: float) -> None:
        """Call this before the files are stored: they are deleted after `seconds`, unless `add` has been called by
        then."""
        await self._database.execute(_EXPECT, list(keys), seconds)

    async def add(self, listing_id: int, picture: NewPicture, *, by: int, owner_id: int) -> Picture:
        """Add the row of a picture whose files were expected and are stored.

        Raises ListingIsFull, FilesGivenUp, NoLongerAllowed, or PictureNotFound if the listing is now in the trash: then
        there is no row. After DatabaseUnavailable there may be one.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.PICTURE_CHANGE, owner_id=owner_id)
            if not await transaction.execute(_TOUCH_LISTING, listing_id):
                raise PictureNotFound
            count = await transaction.fetch_one(_COUNT, listing_id)
            if count is None or count[0] >= MAX_PICTURES:
                raise ListingIsFull
            if await transaction.execute(ARRIVED, list(picture.keys)) != len(picture.keys):
                raise FilesGivenUp
            state = LikenessState.of(picture.likeness)
            row = await transaction.fetch_one(_ADD, listing_id, *stored(picture), state.value)
            assert row is not None
            if picture.likeness is not None:
                await transaction.execute(_KEEP_LIKENESS, row[0], *stored_likeness(picture.likeness), False)
            if by != owner_id:
                await record(transaction, by, "picture_add", "picture", row[0], details={"listing_id": listing_id})
            return Picture(*row)

    async def by_id(self, picture_id: int) -> Picture:
        """Returns the picture. Raises PictureNotFound."""
        row = await self._database.fetch_one(_BY_ID, picture_id)
        if row is None:
            raise PictureNotFound
        return Picture(*row)

    async def without_medium(self, *, after_id: int, limit: int) -> list[Picture]:
        """Returns pictures that were stored before there was a medium size, with greater ids, in their order."""
        return [Picture(*row) for row in await self._database.fetch(_WITHOUT_MEDIUM, after_id, limit)]

    async def give_sizes(self, picture: Picture, sizes: SmallerSizes, *, seconds: float) -> None:
        """Give a picture without a medium size its smaller sizes, whose files were expected and are stored.

        The file of the thumbnail before is deleted after `seconds`. What people wrote of the listing stays as it is, so
        nobody's change of it is refused because of this. Raises FilesGivenUp, or PictureNotFound if there is no such
        picture any more: then nothing has changed.
        """
        async with self._database.transaction() as transaction:
            if await transaction.execute(ARRIVED, list(sizes.keys)) != len(sizes.keys):
                raise FilesGivenUp
            is_there = await transaction.execute(
                _GIVE_SIZES,
                picture.id,
                sizes.medium_key,
                sizes.medium_content_type,
                sizes.medium_size,
                sizes.medium_width,
                sizes.thumbnail_key,
                sizes.thumbnail_content_type,
                sizes.thumbnail_size,
                sizes.thumbnail_width,
            )
            if not is_there:
                raise PictureNotFound
            await transaction.execute(_EXPECT, [picture.thumbnail_key], seconds)

    async def without_likeness(self, *, after_id: int, limit: int) -> list[Picture]:
        """Returns pictures whose likeness no version has tried to make yet, with greater ids, in their order."""
        return [Picture(*row) for row in await self._database.fetch(_WITHOUT_LIKENESS, after_id, limit)]

    async def give_likeness(self, picture: Picture, likeness: Likeness | None, state: LikenessState) -> None:
        """Keep the likeness of a picture of an earlier version, or note why there is none.

        Copies of it are not looked for: only later uploads are compared with it. Nothing happens if the picture was
        removed, or got another thumbnail meanwhile.
        """
        async with self._database.transaction() as transaction:
            # It locks the row, so the picture is there until the end of the transaction.
            is_there = await transaction.execute(_NOTE_LIKENESS, picture.id, picture.thumbnail_key, state.value)
            if is_there and likeness is not None:
                await transaction.execute(_KEEP_LIKENESS, picture.id, *stored_likeness(likeness), True)

    async def remove(self, picture: Picture, *, by: int, owner_id: int) -> None:
        """Remove the picture; its files become abandoned. Raises PictureNotFound or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.PICTURE_CHANGE, owner_id=owner_id)
            await transaction.execute(_TOUCH_LISTING, picture.listing_id)
            if not await transaction.execute(_DELETE, picture.id):
                raise PictureNotFound
            if by != owner_id:
                details = {"listing_id": picture.listing_id}
                await record(transaction, by, "picture_delete", "picture", picture.id, details=details)

    async def arrange(self, listing_id: int, first: Sequence[int], *, by: int, owner_id: int) -> None:
        """Put these pictures of the listing first, in this order. The others follow, in the order that they have now.

        So a picture that was added in the meantime keeps its place at the end. Raises NotItsPictures, NoLongerAllowed,
        or PictureNotFound if the listing is now in the trash.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.PICTURE_CHANGE, owner_id=owner_id)
            if not await transaction.execute(_TOUCH_LISTING, listing_id):
                raise PictureNotFound
            known = [row[0] for row in await transaction.fetch(_IN_ORDER, listing_id)]
            if wrong := [picture_id for picture_id in first if picture_id not in known]:
                raise NotItsPictures(wrong)
            others = [picture_id for picture_id in known if picture_id not in first]
            await transaction.execute(_PLACE, [*first, *others])
            if by != owner_id:
                await record(transaction, by, "picture_arrange", "listing", listing_id)

    async def delete_files(self, delete: Callable[[Sequence[str]], Awaitable[None]], *, limit: int) -> int:
        """Pass at most `limit` due keys to `delete`, and forget them unless it raises. Returns the number of keys.

        Several nodes may do this at once: each gets different keys.
        """
        async with self._database.transaction() as transaction:
            keys = [row[0] for row in await transaction.fetch(_TAKE_ABANDONED, limit)]
            if keys:
                await delete(keys)
            return len(keys)

    async def give_up(self, picture: NewPicture, delete: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """Delete the files of a new picture whose `add` was refused, and forget their keys."""
        async with self._database.transaction() as transaction:
            if await transaction.execute(ARRIVED, list(picture.keys)):
                await delete(picture.keys)
