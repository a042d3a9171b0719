"""The way of one upload: read within its limit, processed, kept as two files, and given up if it comes to nothing.

It puts `workers` and `storage` together for the handlers, and knows neither permissions nor rows.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.pictures.errors import PictureTooLarge, StorageUnavailable
from api.pictures.storage import new_key
from shared.domain.pictures import NewPicture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import BodyPartReader

    from api.pictures.storage import PictureStorage
    from api.pictures.workers import PictureWorkers


async def read_upload(part: BodyPartReader, max_bytes: int) -> bytes:
    """The content of a multipart field; raises PictureTooLarge as soon as it is, without reading the rest."""
    received = bytearray()
    while chunk := await part.read_chunk():
        received += chunk
        if len(received) > max_bytes:
            raise PictureTooLarge(f"a picture may have at most {max_bytes} bytes")
    return bytes(received)


@asynccontextmanager
async def stored_picture(data: bytes, workers: PictureWorkers, storage: PictureStorage) -> AsyncIterator[NewPicture]:
    """Process and store an upload; insert its row within the context, whose failure removes the files again.

        async with stored_picture(data, workers, storage) as picture:
            await repository.add_picture(listing_id, picture)

    Both files are there when the context begins: a row never names a file that is missing. Raises what
    `PictureWorkers.process` and `PictureStorage.put` raise.
    """
    processed = await workers.process(data)
    picture = NewPicture(
        key=new_key(processed.content_type),
        content_type=processed.content_type,
        size=len(processed.data),
        width=processed.width,
        height=processed.height,
        thumbnail_key=new_key(processed.thumbnail_content_type),
        thumbnail_content_type=processed.thumbnail_content_type,
        thumbnail_size=len(processed.thumbnail),
    )
    try:
        # Both are waited for although one may fail, or the other would be written after the clearing up below.
        outcomes = await asyncio.gather(
            storage.put(picture.key, processed.data, picture.content_type),
            storage.put(picture.thumbnail_key, processed.thumbnail, picture.thumbnail_content_type),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        yield picture
    except BaseException:
        with contextlib.suppress(StorageUnavailable):
            await storage.delete([picture.key, picture.thumbnail_key])
        raise
