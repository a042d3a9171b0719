"""Deletes abandoned files: those of removed pictures, and those of uploads that failed before their row was added.

It deletes them soon after they are abandoned, and tries again while the storage is away.
"""

from __future__ import annotations

import asyncio
import contextlib

from api.pictures.errors import StorageUnavailable
from api.pictures.storage import PictureStorage
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable
from shared.repositories.pictures import PictureRepository

log = log_of(__name__)

_BATCH = 100


class AbandonedFiles:
    """Deletes files in a task. The processes share the work; the next start finishes what a stop left undone."""

    def __init__(self, pictures: PictureRepository, storage: PictureStorage, seconds: float) -> None:
        self._pictures = pictures
        self._storage = storage
        self._seconds = seconds
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to delete files in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop at once. The files that are left stay abandoned, and some process deletes them later."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Look for abandoned files now."""
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                while await self._pictures.delete_files(self._storage.delete, limit=_BATCH):
                    pass
            except (StorageUnavailable, DatabaseUnavailable) as error:
                log.warning("abandoned files not deleted yet", reason=str(error))
            except Exception:
                log.exception("abandoned files not deleted yet")
