"""Pictures of a version without a medium size get their smaller sizes, once, by whichever process comes first."""

from __future__ import annotations

import asyncio

import pytest

from api.services import SERVICES
from shared.settings import Settings
from tests.api.conftest import Api, MakeApi
from tests.api.rows import Rows
from tests.api.test_pictures import files, upload, wait_for_files

AS_BEFORE = """UPDATE pictures SET medium_key = NULL, medium_content_type = NULL, medium_size = NULL,
                   medium_width = NULL, thumbnail_width = NULL WHERE id = ANY (%s)"""
FORGET = "UPDATE chores SET done_at = '-infinity'"


async def of_an_earlier_version(rows: Rows, settings: Settings, ids: list[int]) -> None:
    """Let these pictures be as a version without a medium size left them: with two files each."""
    keys = [row[0] for row in await rows.fetch("SELECT medium_key FROM pictures WHERE id = ANY (%s)", ids)]
    await rows.execute(AS_BEFORE, ids)
    for key in keys:
        (settings.data_directory / "pictures" / key).unlink()


async def test_pictures_of_an_earlier_version_get_the_sizes_that_browsers_choose_from(
    api: Api, rows: Rows, settings: Settings
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    old, new = [await upload(api, listing_id, seller) for _ in range(2)]
    await of_an_earlier_version(rows, settings, [old["id"]])
    path = f"/api/listings/{listing_id}"
    before = await api.call("GET", path, 200)
    assert [one["sizes"] for one in before["pictures"]] == [[], new["sizes"]]
    await api.call("GET", f"/api/pictures/{old['id']}/medium", 404)
    await api.client.app[SERVICES].chores.do()
    after = await api.call("GET", path, 200)
    assert [one["sizes"] for one in after["pictures"]] == [old["sizes"], new["sizes"]]
    # Somebody who is changing the listing is not told that it was changed meanwhile.
    assert after["updated_at"] == before["updated_at"]
    for size in old["sizes"]:
        response = await api.client.get(size["url"])
        assert (response.status, response.content_type) == (200, "image/webp")
    # The thumbnail before is deleted when nobody can be reading it any more.
    assert len(files(settings)) == 7
    await rows.execute("UPDATE abandoned_files SET since = now()")
    api.client.app[SERVICES].abandoned_files.wake()
    await wait_for_files(settings, 6)


async def test_several_processes_make_each_picture_once(make_api: MakeApi, rows: Rows, settings: Settings) -> None:
    apis = [await make_api() for _ in range(3)]
    seller = await apis[0].register()
    listing_id = await rows.listing(seller.id)
    ids = [(await upload(apis[0], listing_id, seller))["id"] for _ in range(4)]
    await of_an_earlier_version(rows, settings, ids)
    await asyncio.gather(*(api.client.app[SERVICES].chores.do() for api in apis))
    assert await rows.fetch("SELECT FROM pictures WHERE medium_key IS NULL") == []
    # Only the thumbnails before are left over: nothing was made twice.
    [[left_over]] = await rows.fetch("SELECT count(*) FROM abandoned_files")
    assert (left_over, len(files(settings))) == (4, 16)


@pytest.mark.parametrize("fault", ["missing", "broken"])
async def test_a_picture_whose_file_cannot_be_read_keeps_no_other_from_its_sizes(
    api: Api, rows: Rows, settings: Settings, fault: str
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    first, second = [(await upload(api, listing_id, seller))["id"] for _ in range(2)]
    await of_an_earlier_version(rows, settings, [first, second])
    [[key]] = await rows.fetch("SELECT key FROM pictures WHERE id = %s", first)
    file = settings.data_directory / "pictures" / key
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(b"no picture")
    chores = api.client.app[SERVICES].chores
    for _ in range(2):
        await chores.do()
        assert await rows.fetch("SELECT id FROM pictures WHERE medium_key IS NULL") == [(first,)]
        await rows.execute(FORGET)


async def test_while_uploads_take_the_places_the_sizes_of_old_pictures_wait(
    make_api: MakeApi, rows: Rows, settings: Settings
) -> None:
    api = await make_api(picture_workers=1, max_waiting_pictures=1)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    picture = await upload(api, listing_id, seller)
    await of_an_earlier_version(rows, settings, [picture["id"]])
    services = api.client.app[SERVICES]
    with services.picture_workers.place(seller.id):
        await services.chores.do()
    assert await rows.fetch("SELECT id FROM pictures WHERE medium_key IS NULL") == [(picture["id"],)]
    await rows.execute(FORGET)
    await services.chores.do()
    assert await rows.fetch("SELECT id FROM pictures WHERE medium_key IS NULL") == []
