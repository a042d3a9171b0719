"""An upload becomes two files; their keys are recorded before the files are stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import BodyPartReader, FormData, web

from api.pictures.errors import BrokenPicture, PicturesBusy, PictureTooLarge
from api.pictures.storage import PictureStorage
from api.pictures.uploads import STEP_BYTES, read_upload, store_picture, while_it_goes_on
from api.pictures.workers import PictureWorkers
from shared.domain.pictures import NewPicture
from shared.settings import Settings
from tests.api.pictures.samples import corners, encoded, opened, quarters
from tests.support.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from pytest_aiohttp import AiohttpClient

pytestmark = pytest.mark.servers  # The picture workers are processes.

PHOTO = encoded(quarters().resize((960, 640)), "JPEG", quality=95)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder / "pictures")) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[PictureWorkers]:
    async with PictureWorkers.from_settings(Settings(data_directory=tmp_path)) as started:
        yield started


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[PictureStorage]:
    async with PictureStorage.from_settings(Settings(data_directory=tmp_path)) as opened_storage:
        yield opened_storage


async def store(
    data: bytes, workers: PictureWorkers, storage: PictureStorage, expect: Callable[[Sequence[str]], Awaitable[None]]
) -> NewPicture:
    with workers.place(1) as place:
        return await store_picture(data, place, storage, expect)


async def test_an_upload_becomes_three_files_and_a_description_of_them(
    workers: PictureWorkers, storage: PictureStorage, tmp_path: Path
) -> None:
    expected: list[str] = []

    async def expect(keys: Sequence[str]) -> None:
        assert files(tmp_path) == set()
        expected.extend(keys)

    picture = await store(PHOTO, workers, storage, expect)
    assert files(tmp_path) == set(expected) == {picture.key, picture.medium_key, picture.thumbnail_key}
    assert (picture.width, picture.height) == (960, 640)
    assert (picture.medium_width, picture.thumbnail_width) == (800, 480)
    assert picture.content_type == "image/jpeg"
    assert picture.medium_content_type == picture.thumbnail_content_type == "image/webp"
    for key, size, pixels in (
        (picture.key, picture.size, (960, 640)),
        (picture.medium_key, picture.medium_size, (800, 533)),
        (picture.thumbnail_key, picture.thumbnail_size, (480, 320)),
    ):
        data = await storage.get(key)
        assert len(data) == size
        assert opened(data).size == pixels
        assert corners(opened(data)) == ["red", "green", "blue", "white"]


async def test_a_refused_upload_stores_no_file_and_records_no_key(
    workers: PictureWorkers, storage: PictureStorage, tmp_path: Path
) -> None:
    expected: list[str] = []

    async def expect(keys: Sequence[str]) -> None:
        expected.extend(keys)

    with pytest.raises(BrokenPicture):
        await store(PHOTO[:500], workers, storage, expect)
    assert files(tmp_path) == set()
    assert expected == []


async def test_no_file_is_stored_when_its_key_could_not_be_recorded(
    workers: PictureWorkers, storage: PictureStorage, tmp_path: Path
) -> None:
    async def expect(keys: Sequence[str]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store(PHOTO, workers, storage, expect)
    assert files(tmp_path) == set()


async def test_a_form_field_is_not_read_beyond_its_limit(aiohttp_client: AiohttpClient) -> None:
    outcomes: list[bytes | str] = []
    counted: list[int] = []

    async def upload(request: web.Request) -> web.Response:
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        try:
            outcomes.append(await read_upload(part, 200_000, counted.append))
        except PictureTooLarge as refusal:
            outcomes.append(refusal.reason)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", upload)
    client = await aiohttp_client(app)
    for size in (0, 200_000, 200_001):
        form = FormData()
        form.add_field("picture", bytes(size), filename="car.jpg", content_type="image/jpeg")
        (await client.post("/", data=form)).close()
    assert outcomes == [b"", bytes(200_000), "a picture may have at most 200000 bytes"]
    assert sum(counted) > 400_000


@in_virtual_time
async def test_a_slow_line_that_goes_on_may_take_hours() -> None:
    async with while_it_goes_on(20, 120, lambda: False) as count:
        for _ in range(1000):
            await asyncio.sleep(19)
            count(STEP_BYTES)


async def send(seconds: float, received: int, *, are_others_waiting: Callable[[], bool] = lambda: False) -> None:
    """Send this number of bytes each time, for ever."""
    async with while_it_goes_on(20, 120, are_others_waiting) as count:
        while True:
            await asyncio.sleep(seconds)
            count(received)


@pytest.mark.parametrize(("seconds", "received"), [(1.0, 0), (0.5, 1), (19.0, STEP_BYTES - 1), (1.0, 300)])
@in_virtual_time
async def test_an_upload_that_stands_still_ends_also_if_single_bytes_come(seconds: float, received: int) -> None:
    with pytest.raises(TimeoutError):
        await send(seconds, received)
    assert asyncio.get_running_loop().time() == 20


@in_virtual_time
async def test_a_slow_upload_ends_only_when_others_wait_for_its_place() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(PicturesBusy):
        await send(10, STEP_BYTES, are_others_waiting=lambda: loop.time() < 60 or loop.time() > 500)
    assert loop.time() == 510
