"""Goes through pictures that an earlier version has stored, one after the other and only while uploads leave room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from api.pictures.errors import PicturesBusy, StorageUnavailable, TooManyPictures
from shared.logs import log_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.pictures.processing import ProcessedPicture
    from api.pictures.storage import PictureStorage
    from api.pictures.workers import PictureWorkers
    from shared.domain.pictures import Picture
    from shared.postgres import Transaction

log = log_of(__name__)

_BATCH = 20
"""The pictures of one step."""
_NOBODY = 0
"""No account has this id, so these pictures take no account's share of the places."""


class Find(Protocol):
    """Returns at most `limit` of the pictures that still lack something, with greater ids, in their order."""

    async def __call__(self, *, after_id: int, limit: int) -> list[Picture]: ...


class OlderPictures:
    """Work for `Chores`: gives each picture that `find` returns to `treat`. One process does it at a time.

    If `treat` raises PicturesBusy, TooManyPictures or StorageUnavailable, the rest waits until the next time.
    """

    def __init__(
        self,
        storage: PictureStorage,
        workers: PictureWorkers,
        *,
        find: Find,
        treat: Callable[[Picture], Awaitable[None]],
    ) -> None:
        self._storage = storage
        self._workers = workers
        self._find = find
        self._treat = treat
        self._after_id = 0

    async def some(self, _: Transaction) -> bool:
        """Go through some pictures. Returns whether this was the end of the work for now.

        The transaction only keeps other processes from the same work: the rows of pictures are changed in others, so
        that nobody waits for a picture's row.
        """
        found = await self._find(after_id=self._after_id, limit=_BATCH)
        for picture in found:
            # An upload needs a place too.
            if self._workers.free < 2:
                return True
            try:
                await self._treat(picture)
            except (PicturesBusy, TooManyPictures, StorageUnavailable) as error:
                log.warning("older picture not processed yet", picture_id=picture.id, reason=str(error))
                return True
            self._after_id = picture.id
        if found:
            return False
        self._after_id = 0
        return True

    async def processed(self, key: str) -> ProcessedPicture:
        """Returns a stored file processed as an upload is, in the confined processes.

        Raises PictureMissing, PictureRefused, and what `treat` may raise.
        """
        data = await self._storage.get(key)
        with self._workers.place(_NOBODY) as place:
            return await place.process(data)
