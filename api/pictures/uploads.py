"""Takes one upload: reads it within its limit, has it processed, and stores it in three sizes.

It joins `workers` and `storage` for the handlers, and knows neither permissions nor rows.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.pictures.errors import PicturesBusy, PictureTooLarge
from api.pictures.storage import new_key
from shared.domain.pictures import NewPicture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from aiohttp import BodyPartReader

    from api.pictures.storage import PictureStorage
    from api.pictures.workers import Place


STEP_BYTES = 8 * 1024
"""An upload stands still if less than this arrives in its time."""


@asynccontextmanager
async def while_it_goes_on(
    still_seconds: float, patience_seconds: float, are_others_waiting: Callable[[], bool]
) -> AsyncIterator[Callable[[int], None]]:
    """Limits an upload: not how long it takes, but how long it stands still.

    Call what it gives with the number of bytes that have arrived. Raises TimeoutError when fewer than STEP_BYTES have
    arrived within `still_seconds`, so that single bytes, sent now and then, keep no place. Raises PicturesBusy after
    `patience_seconds` if others wait for a place: slow uploads together must not keep everybody else away.
    """
    loop = asyncio.get_running_loop()
    begun, arrived = loop.time(), 0
    async with asyncio.timeout(still_seconds) as limit:

        def count(received: int) -> None:
            nonlocal arrived
            arrived += received
            if loop.time() - begun > patience_seconds and are_others_waiting():
                raise PicturesBusy("it took too long while others were waiting")
            if arrived >= STEP_BYTES:
                arrived = 0
                limit.reschedule(loop.time() + still_seconds)

        yield count


async def read_upload(part: BodyPartReader, max_bytes: int, count: Callable[[int], None]) -> bytes:
    """Returns the content of a multipart field. Raises PictureTooLarge after `max_bytes`, without reading on.

    `count` is called with the number of bytes of each chunk.
    """
    received = bytearray()
    while chunk := await part.read_chunk():
        count(len(chunk))
        received += chunk
        if len(received) > max_bytes:
            raise PictureTooLarge(f"a picture may have at most {max_bytes} bytes")
    return bytes(received)


async def store_picture(
    data: bytes, place: Place, storage: PictureStorage, expect: Callable[[Sequence[str]], Awaitable[None]]
) -> NewPicture:
    """Process and store an upload. On return all its files are stored, so no row ever names a missing file.

    `expect` is called with the keys before the files are stored. It has them deleted later if no row follows. So this
    function deletes nothing after an error: a request may have taken effect although its answer says otherwise. Raises
    what `Place.process`, `PictureStorage.put` and `expect` raise.
    """
    processed = await place.process(data)
    picture = NewPicture(
        key=new_key(processed.content_type),
        content_type=processed.content_type,
        size=len(processed.data),
        width=processed.width,
        height=processed.height,
        medium_key=new_key(processed.medium_content_type),
        medium_content_type=processed.medium_content_type,
        medium_size=len(processed.medium),
        medium_width=processed.medium_width,
        thumbnail_key=new_key(processed.thumbnail_content_type),
        thumbnail_content_type=processed.thumbnail_content_type,
        thumbnail_size=len(processed.thumbnail),
        thumbnail_width=processed.thumbnail_width,
        likeness=processed.likeness,
    )
    await expect(picture.keys)
    await asyncio.gather(
        storage.put(picture.key, processed.data, picture.content_type),
        storage.put(picture.medium_key, processed.medium, picture.medium_content_type),
        storage.put(picture.thumbnail_key, processed.thumbnail, picture.thumbnail_content_type),
    )
    return picture
