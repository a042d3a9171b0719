"""Leaving, over REST: the picture files of a person who has left are deleted, and the page says when."""

from __future__ import annotations

from api.services import SERVICES
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api
from tests.api.rows import Rows
from tests.api.test_pictures import files, upload, wait_for_files

AGES = "UPDATE users SET deleted_at = deleted_at - interval '30 days' WHERE id = %s"


async def test_the_listings_and_picture_files_of_who_left_are_deleted_for_good_and_no_others(
    api: Api, rows: Rows, settings: Settings
) -> None:
    leaver, admin = await api.register("Leaver"), await api.register("Ada", Role.ADMIN)
    category_id = await rows.category()
    listing_id, other_id = [await rows.listing(who.id, category_id) for who in (leaver, admin)]
    for _ in range(2):
        await upload(api, listing_id, leaver)
    kept = await upload(api, other_id, admin)
    await api.call("DELETE", "/api/me", 204, who=leaver, json={"current_password": PASSWORD})
    services = api.client.app[SERVICES]
    await services.chores.do()
    trash = (await api.call("GET", "/api/trash", 200, who=admin))["data"]
    assert [one["id"] for one in trash] == [listing_id]
    assert len(files(settings)) == 9

    await rows.execute(AGES, leaver.id)
    await rows.execute("UPDATE chores SET done_at = '-infinity'")
    await services.chores.do()
    assert (await api.call("GET", "/api/trash", 200, who=admin))["data"] == []
    services.abandoned_files.wake()
    await wait_for_files(settings, 3)
    for url in (kept["url"], *(size["url"] for size in kept["sizes"])):
        assert (await api.client.get(url)).status == 200


async def test_a_picture_that_is_stored_while_its_owner_leaves_is_deleted_too(
    api: Api, rows: Rows, settings: Settings
) -> None:
    leaver = await api.register("Leaver")
    listing_id = await rows.listing(leaver.id)
    await upload(api, listing_id, leaver)
    pictures = api.client.app[SERVICES].pictures
    # Another upload has recorded its keys and stored one file. Then the account goes, and the process dies.
    stray, thumbnail = (f"ab/{number:040x}.jpg" for number in range(2))
    await pictures.expect([stray, thumbnail], 600)
    file = settings.data_directory / "pictures" / stray
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"half")
    assert len(files(settings)) == 4
    await api.call("DELETE", "/api/me", 204, who=leaver, json={"current_password": PASSWORD})
    await rows.execute(AGES, leaver.id)
    await api.client.app[SERVICES].chores.do()
    await rows.execute("UPDATE abandoned_files SET since = now()")
    api.client.app[SERVICES].abandoned_files.wake()
    await wait_for_files(settings, 0)
