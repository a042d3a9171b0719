"""Adds drawn pictures to listings by the way that uploads take: the confined worker, the storage, and the rows."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from api.demo.drawing import VIEWS, draw_car
from api.pictures.storage import PictureStorage
from api.pictures.uploads import store_picture
from api.pictures.workers import PictureWorkers, Place
from shared.domain.pictures import ListingIsFull, PictureNotFound
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database
from shared.repositories.pictures import PictureRepository
from shared.repositories.seed_pictures import CarWithoutPictures, newest_without_pictures
from shared.settings import Settings


async def add_pictures(settings: Settings, database: Database, count: int) -> int:
    """Draw pictures for those of the newest `count` listings that have none. Returns the number of pictures.

    A car has two or three; one in seven has none, as it is with people's. The same car gets the same pictures. Raises
    what an upload does, but for PictureRefused.
    """
    added = 0
    async with PictureWorkers.from_settings(settings) as workers, PictureStorage.from_settings(settings) as storage:
        for car in await newest_without_pictures(database, count):
            if car.listing_id % 7 == 3:
                continue
            for view in range(VIEWS - car.listing_id % 2):
                with workers.place(car.seller_id) as place:
                    added += await _add(car, view, place, storage, PictureRepository(database), settings)
    return added


async def _add(
    car: CarWithoutPictures,
    view: int,
    place: Place,
    storage: PictureStorage,
    pictures: PictureRepository,
    settings: Settings,
) -> bool:
    drawn = await asyncio.to_thread(draw_car, car.body, car.colour, car.listing_id, view)
    stored = await store_picture(
        drawn, place, storage, lambda keys: pictures.expect(keys, settings.picture_grace_seconds)
    )
    # The site may be in use: the listing or its seller may be gone by now.
    with suppress(ListingIsFull, PictureNotFound, NoLongerAllowed):
        await pictures.add(car.listing_id, stored, by=car.seller_id, owner_id=car.seller_id)
        return True
    await pictures.give_up(stored, storage.delete)
    return False
