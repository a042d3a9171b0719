"""Pictures of a version without likenesses get theirs, and later uploads are compared with them."""

from __future__ import annotations

import pytest
from PIL import Image

from api.services import SERVICES
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import NEVER, Api, MakeApi
from tests.api.pictures.samples import encoded
from tests.api.pictures.test_likeness import cropped, photo
from tests.api.pictures.test_missing_sizes import FORGET
from tests.api.rows import Rows
from tests.api.test_findings import findings, jpeg, look
from tests.api.test_pictures import upload

STATES = "SELECT id, likeness FROM pictures ORDER BY id"
LIKENESSES = "SELECT picture_id FROM picture_likenesses ORDER BY picture_id"


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API that looks for copies only when a test says so."""
    return await make_api(looking_seconds=NEVER, rate_limits=False)


async def of_an_earlier_version(rows: Rows) -> None:
    """Let all pictures be as a version without likenesses left them."""
    await rows.execute("UPDATE pictures SET likeness = NULL")
    await rows.execute("DELETE FROM picture_likenesses")


async def test_a_copy_of_an_older_picture_is_found_and_older_copies_are_not(api: Api, rows: Rows) -> None:
    people = [await api.register() for _ in range(3)]
    moderator = await api.register(role=Role.MODERATOR)
    listings = [await rows.listing(one.id) for one in people]
    for at, one in zip(listings[:2], people[:2], strict=True):
        await upload(api, at, one, data=jpeg(photo(1)))
    await of_an_earlier_version(rows)
    await api.client.app[SERVICES].chores.do()
    assert [state for _, state in await rows.fetch(STATES)] == ["kept", "kept"]
    await look(api)
    assert await findings(api, moderator) == []
    await upload(api, listings[2], people[2], data=jpeg(cropped(photo(1), 0.08, 0.05, 0.08, 0.05), quality=40))
    await look(api)
    assert sorted(await findings(api, moderator)) == [("same_picture", listings[2], at) for at in listings[:2]]


async def test_a_likeness_that_a_version_has_kept_without_saying_so_stays(api: Api, rows: Rows) -> None:
    people, moderator = [await api.register() for _ in range(2)], await api.register(role=Role.MODERATOR)
    listings = [await rows.listing(one.id) for one in people]
    for at, one in zip(listings, people, strict=True):
        await upload(api, at, one, data=jpeg(photo(1)))
    await rows.execute("UPDATE pictures SET likeness = NULL")
    await api.client.app[SERVICES].chores.do()
    assert [state for _, state in await rows.fetch(STATES)] == ["kept", "kept"]
    # Nobody has looked for copies of these, so that is still to do.
    await look(api)
    assert await findings(api, moderator) == [("same_picture", listings[1], listings[0])]


@pytest.mark.parametrize("state", ["missing", "unreadable", "blank"])
async def test_a_picture_without_a_likeness_is_noted_and_tried_once(
    api: Api, rows: Rows, settings: Settings, state: str
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    wall = encoded(Image.new("RGB", (64, 48), "white"), "JPEG")
    first = await upload(api, listing_id, seller, data=wall if state == "blank" else jpeg(photo(1)))
    assert await rows.fetch(STATES) == [(first["id"], "blank" if state == "blank" else "kept")]
    second = await upload(api, listing_id, seller, data=jpeg(photo(2)))
    await of_an_earlier_version(rows)
    [[key]] = await rows.fetch("SELECT thumbnail_key FROM pictures WHERE id = %s", first["id"])
    file = settings.data_directory / "pictures" / key
    kept = file.read_bytes()
    if state == "missing":
        file.unlink()
    elif state == "unreadable":
        file.write_bytes(b"no picture")
    chores = api.client.app[SERVICES].chores
    await chores.do()
    noted = [(first["id"], state), (second["id"], "kept")]
    assert await rows.fetch(STATES) == noted
    assert await rows.fetch(LIKENESSES) == [(second["id"],)]
    file.write_bytes(kept)
    await rows.execute(FORGET)
    await chores.do()
    assert await rows.fetch(STATES) == noted
    # An operator who has brought the file back asks for another try.
    await rows.execute("UPDATE pictures SET likeness = NULL WHERE likeness IN ('missing', 'unreadable')")
    await rows.execute(FORGET)
    await chores.do()
    assert await rows.fetch(LIKENESSES) == ([] if state == "blank" else [(first["id"],)]) + [(second["id"],)]
