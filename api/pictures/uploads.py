"""Takes one upload: reads it within its limit, has it processed, and stores it as two files.

It joins `workers` and `storage` for the handlers, and knows nothing of permissions and rows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from api.pictures.errors import PictureTooLarge
from api.pictures.storage import new_key
from shared.domain.pictures import NewPicture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiohttp import BodyPartReader

    from api.pictures.storage import PictureStorage
    from api.pictures.workers import Place


async def read_upload(part: BodyPartReader, max_bytes: int) -> bytes:
    """The content of a multipart field. Raises PictureTooLarge after `max_bytes`, without reading the rest."""
    received = bytearray()
    while chunk := await part.read_chunk():
        received += chunk
        if len(received) > max_bytes:
            raise PictureTooLarge(f"a picture may have at most {max_bytes} bytes")
    return bytes(received)


async def store_picture(
    data: bytes, place: Place, storage: PictureStorage, expect: Callable[[Sequence[str]], Awaitable[None]]
) -> NewPicture:
    """Process and store an upload. When this returns, both files are stored, so a row never names a missing file.

    `expect` is called with their keys before, and has the files deleted if no row follows. So nothing is deleted here,
    whatever goes wrong: a request may take effect although its answer said otherwise. Raises what `Place.process`,
    `PictureStorage.put` and `expect` raise.
    """
    processed = await place.process(data)
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
    await expect(picture.keys)
    await asyncio.gather(
        storage.put(picture.key, processed.data, picture.content_type),
        storage.put(picture.thumbnail_key, processed.thumbnail, picture.thumbnail_content_type),
    )
    return picture
