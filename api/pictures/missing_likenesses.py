"""Makes the likeness of pictures of versions that made none, so that later uploads are compared with them.

It is work for `Chores`. The likeness is made of the thumbnail, as that of an upload is: few bytes are read and decoded.
Copies of these pictures among those that were there before are not looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.pictures.errors import PictureMissing, PictureRefused
from api.pictures.older import OlderPictures
from shared.domain.pictures import LikenessState
from shared.logs import log_of

if TYPE_CHECKING:
    from api.pictures.storage import PictureStorage
    from api.pictures.workers import PictureWorkers
    from shared.domain.pictures import Likeness, Picture
    from shared.postgres import Transaction
    from shared.repositories.pictures import PictureRepository

log = log_of(__name__)


class MissingLikenesses:
    def __init__(self, pictures: PictureRepository, storage: PictureStorage, workers: PictureWorkers) -> None:
        self._pictures = pictures
        self._older = OlderPictures(storage, workers, find=pictures.without_likeness, treat=self._make)

    async def make_some(self, transaction: Transaction) -> bool:
        """Make some likenesses. Returns whether this was the end of the work for now.

        A picture whose file is gone or cannot be read is noted, and is not tried again.
        """
        return await self._older.some(transaction)

    async def _make(self, picture: Picture) -> None:
        likeness: Likeness | None = None
        try:
            likeness = (await self._older.processed(picture.thumbnail_key)).likeness
            state = LikenessState.of(likeness)
        except (PictureMissing, PictureRefused) as error:
            log.warning("likeness cannot be made", picture_id=picture.id, reason=str(error))
            state = LikenessState.MISSING if isinstance(error, PictureMissing) else LikenessState.UNREADABLE
        await self._pictures.give_likeness(picture, likeness, state)
