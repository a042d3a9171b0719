"""Makes the smaller sizes of pictures that were stored by a version without a medium size.

It is work for `Chores`. Until then a page shows what there is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from api.pictures.errors import PictureMissing, PictureRefused
from api.pictures.older import OlderPictures
from api.pictures.storage import new_key
from shared.domain.pictures import FilesGivenUp, PictureNotFound, SmallerSizes
from shared.logs import log_of

if TYPE_CHECKING:
    from api.pictures.storage import PictureStorage
    from api.pictures.workers import PictureWorkers
    from shared.domain.pictures import Picture
    from shared.postgres import Transaction
    from shared.repositories.pictures import PictureRepository

log = log_of(__name__)


class MissingSizes:
    def __init__(
        self, pictures: PictureRepository, storage: PictureStorage, workers: PictureWorkers, *, grace_seconds: float
    ) -> None:
        self._pictures = pictures
        self._storage = storage
        self._grace_seconds = grace_seconds
        self._older = OlderPictures(storage, workers, find=pictures.without_medium, treat=self._try)

    async def make_some(self, transaction: Transaction) -> bool:
        """Make the smaller sizes of some pictures. Returns whether this was the end of the work for now.

        A picture that cannot be processed is left out until the next time.
        """
        return await self._older.some(transaction)

    async def _try(self, picture: Picture) -> None:
        try:
            await self._make(picture)
        except (PictureMissing, PictureRefused) as error:
            log.warning("smaller sizes cannot be made", picture_id=picture.id, reason=str(error))
        except (FilesGivenUp, PictureNotFound):
            # It was removed meanwhile, or this took very long; the new files are deleted later.
            pass

    async def _make(self, picture: Picture) -> None:
        processed = await self._older.processed(picture.key)
        sizes = SmallerSizes(
            medium_key=new_key(processed.medium_content_type),
            medium_content_type=processed.medium_content_type,
            medium_size=len(processed.medium),
            medium_width=processed.medium_width,
            thumbnail_key=new_key(processed.thumbnail_content_type),
            thumbnail_content_type=processed.thumbnail_content_type,
            thumbnail_size=len(processed.thumbnail),
            thumbnail_width=processed.thumbnail_width,
        )
        await self._pictures.expect(sizes.keys, self._grace_seconds)
        await asyncio.gather(
            self._storage.put(sizes.medium_key, processed.medium, sizes.medium_content_type),
            self._storage.put(sizes.thumbnail_key, processed.thumbnail, sizes.thumbnail_content_type),
        )
        await self._pictures.give_sizes(picture, sizes, seconds=self._grace_seconds)
