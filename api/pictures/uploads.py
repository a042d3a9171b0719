"""The way of one upload: read within its limit, processed, kept as two files.

It puts `workers` and `storage` together for the handlers, and knows neither permissions nor rows.
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
    """The content of a multipart field; raises PictureTooLarge as soon as it is, without reading the rest."""
    received = bytearray()
    while chunk := await part.read_chunk():
        received += chunk
        if len(received) > max_bytes:
            raise PictureTooLarge(f"a picture may have at most {max_bytes} bytes")
    return bytes(received)


async def store_picture(
    data: bytes, place: Place, storage: PictureStorage, expect: Callable[[Sequence[str]], Awaitable[None]]
) -> NewPicture:
    """Process and store an upload. Both files are there when it returns: a row never names one that is missing.

    `expect` is told their keys before, and sees to it that they are deleted if no row of theirs follows. So nothing is
    deleted here, whatever goes wrong: a request may take effect although its answer said otherwise. Raises what
    `Place.process`, `PictureStorage.put` and `expect` raise.
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
