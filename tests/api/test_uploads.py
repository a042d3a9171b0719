"""Uploads that go on after a lost connection: cut in the middle, over several processes, twice at once, and wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, ClientSession, FormData

from api.services import SERVICES
from shared.domain.uploads import LEAST_APPENDED, MAX_UPLOADS
from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.erasure import erase_some
from shared.repositories.uploads import remove_old_uploads
from shared.settings import Settings
from tests.api.conftest import Api, MakeApi, Person, checked
from tests.api.rows import Rows
from tests.api.test_pictures import a_jpeg, files, upload, wait_for_files
from tests.support.processes import Processes
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")

# What follows the end of a JPEG is no part of the picture.
FILE = a_jpeg() + bytes(1_000_000)
UNREAD = 400_000
"""The most bytes that are lost with a connection: what aiohttp holds for the handler (128 KiB), and one read of uvloop
(256 KiB)."""
SMALL = a_jpeg() + bytes(3 * LEAST_APPENDED)


async def begin(
    api: Api, who: Person, listing_id: int, length: int, status: int = 201, headers: dict[str, str] | None = None
) -> Any:
    sent = {"Upload-Length": str(length), "Upload-Complete": "?0", **(headers or {})}
    return await api.call("POST", f"/api/listings/{listing_id}/uploads", status, who=who, headers=sent)


def part(who: Person, offset: int, *, is_last: bool = True) -> dict[str, str]:
    return {
        **who.headers,
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": f"?{int(is_last)}",
    }


async def append(
    api: Api, who: Person, upload: Any, offset: int, data: Any, status: int = 201, *, is_last: bool = True
) -> Any:
    response = await api.client.patch(upload["url"], data=data, headers=part(who, offset, is_last=is_last))
    return await checked(response, status)


async def offset_of(api: Api, who: Person, upload: Any) -> int:
    return int((await api.call("GET", upload["url"], 200, who=who))["offset"])


async def until_offset(api: Api, who: Person, upload: Any, least: int) -> int:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (offset := await offset_of(api, who, upload)) < least:  # noqa: ASYNC110 (another request answers)
            await asyncio.sleep(0.01)
    return offset


@pytest.fixture
async def ann(api: Api) -> Person:
    return await api.register("Ann")


@pytest.fixture
async def listing_id(ann: Person, rows: Rows) -> int:
    return await rows.listing(ann.id)


async def test_an_upload_that_is_cut_goes_on_in_the_middle_at_another_process_after_the_first_was_killed(
    api: Api, ann: Person, listing_id: int, settings: Settings, processes: Processes
) -> None:
    begun = await begin(api, ann, listing_id, len(FILE))
    assert (begun["offset"], begun["length"], begun["is_complete"]) == (0, len(FILE), False)
    first, cut_after = await processes.api(), 900_000
    async with Proxy(first.port) as line, ClientSession() as session:
        line.most = cut_after
        with pytest.raises((ClientError, ConnectionError)):
            await session.patch(f"http://127.0.0.1:{line.port}{begun['url']}", data=FILE, headers=part(ann, 0))
        assert line.sent == cut_after
        # What had arrived is kept, but for what the server had not read yet.
        offset = await until_offset(api, ann, begun, cut_after - UNREAD)
    first.kill()
    picture = await append(api, ann, begun, offset, FILE[offset:])
    [shown] = (await api.call("GET", f"/api/listings/{listing_id}", 200))["pictures"]
    assert shown == picture
    done = await api.call("GET", begun["url"], 200, who=ann)
    assert (done["is_complete"], done["offset"], done["picture"]) == (True, len(FILE), picture)
    await wait_for_files(settings, 3)


async def test_the_answers_say_in_headers_where_the_upload_is(api: Api, ann: Person, listing_id: int) -> None:
    sent = {**ann.headers, "Upload-Length": str(len(SMALL)), "Upload-Complete": "?0"}
    path = f"/api/listings/{listing_id}/uploads"
    made = await api.client.post(path, headers=sent)
    url = made.headers["Location"]
    assert (await made.json())["url"] == url
    assert (
        f"max-size={api.settings.max_picture_bytes}, min-append-size={LEAST_APPENDED}" in made.headers["Upload-Limit"]
    )
    response = await api.client.patch(url, data=SMALL[:20_000], headers=part(ann, 0, is_last=False))
    assert response.status == 204
    assert (response.headers["Upload-Offset"], response.headers["Upload-Complete"]) == ("20000", "?0")
    for method in ("GET", "HEAD"):
        seen = await api.client.request(method, url, headers=ann.headers)
        names = ("Upload-Offset", "Upload-Length", "Upload-Complete", "Cache-Control")
        assert [seen.headers[name] for name in names] == ["20000", str(len(SMALL)), "?0", "no-store"]


async def test_another_process_goes_on_and_a_new_session_of_the_person_does(
    make_api: MakeApi, rows: Rows, settings: Settings
) -> None:
    first, second = await make_api(), await make_api()
    ann = await first.register("Ann")
    begun = await begin(first, ann, await rows.listing(ann.id), len(FILE))
    await append(first, ann, begun, 0, FILE[:700_000], 204, is_last=False)
    await first.call("POST", "/api/logout", 204, who=ann)
    await append(first, ann, begun, 700_000, FILE[700_000:], 401)
    again = await second.login(ann)
    assert await offset_of(second, again, begun) == 700_000
    picture = await append(second, again, begun, 700_000, FILE[700_000:])
    assert (await second.client.get(picture["url"])).status == 200
    assert second.client.app is not None
    second.client.app[SERVICES].abandoned_files.wake()
    await wait_for_files(settings, 3)
    assert await rows.fetch("SELECT key FROM upload_parts") == []


async def test_nobody_else_sees_or_changes_an_upload(api: Api, ann: Person, listing_id: int) -> None:
    begun = await begin(api, ann, listing_id, len(SMALL))
    for role in (Role.USER, Role.MODERATOR, Role.ADMIN):
        other = await api.register(role=role)
        await api.call("GET", begun["url"], 404, who=other)
        await append(api, other, begun, 0, SMALL, 404)
        await api.call("DELETE", begun["url"], 404, who=other)
    assert await offset_of(api, ann, begun) == 0
    await append(api, ann, begun, 0, SMALL)


async def test_wrong_offsets_and_lengths_change_nothing(api: Api, ann: Person, listing_id: int, rows: Rows) -> None:
    begun = await begin(api, ann, listing_id, len(SMALL))
    await append(api, ann, begun, 0, SMALL[:20_000], 204, is_last=False)

    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        yield data

    for offset in (0, 1, 19_999, 20_001, len(SMALL), 10**15 - 1):
        response = await api.client.patch(begun["url"], data=SMALL[20_000:], headers=part(ann, offset))
        assert response.headers["Upload-Offset"] == "20000"
        problem = await checked(response, 409)
        assert problem["type"] == "/problems/mismatching-upload-offset"
    for data, is_last in ((SMALL[20_000:] + b"x", True), (SMALL[20_000:] + b"x", False), (SMALL[20_000:-1], True)):
        problem = await append(api, ann, begun, 20_000, data, 400, is_last=is_last)
        assert problem["type"] == "/problems/inconsistent-upload-length"
    # The same without a Content-Length.
    problem = await append(api, ann, begun, 20_000, chunks(SMALL[20_000:] + b"x"), 400)
    assert problem["type"] == "/problems/inconsistent-upload-length"
    for few in (b"", b"x", bytes(LEAST_APPENDED - 1)):
        await append(api, ann, begun, 20_000, few, 400, is_last=False)
    assert await offset_of(api, ann, begun) == 20_000
    assert await rows.fetch("SELECT count(*) FROM upload_parts") == [(1,)]
    await append(api, ann, begun, 20_000, SMALL[20_000:])
    problem = await append(api, ann, begun, len(SMALL), b"", 410)
    assert problem["type"] == "/problems/completed-upload"
    await append(api, ann, begun, len(SMALL), b"x", 400)


async def test_wrong_headers_are_400_and_too_large_files_413(api: Api, ann: Person, listing_id: int) -> None:
    path = f"/api/listings/{listing_id}/uploads"
    for length in ("", "-1", "0", "1.5", "1e3", "x", "9" * 16, '"5"', "5, 5", "?1"):
        await begin(api, ann, listing_id, 1, 400, {"Upload-Length": length})
    for complete in ("", "?1", "true", "0", "?2", "?0, ?0"):
        await begin(api, ann, listing_id, 1, 400, {"Upload-Complete": complete})
    await begin(api, ann, listing_id, api.settings.max_picture_bytes + 1, 413)
    await api.call("POST", path, 400, who=ann)
    await api.call("POST", path, 400, who=ann, data=b"x", headers={"Upload-Length": "1", "Upload-Complete": "?0"})
    begun = await begin(api, ann, listing_id, len(SMALL))
    right = part(ann, 0)
    for name, wrong in (("Upload-Offset", ("", "-1", "0.0", "x")), ("Upload-Complete", ("", "1", "?3"))):
        for value in wrong:
            await checked(await api.client.patch(begun["url"], data=SMALL, headers={**right, name: value}), 400)
    for kind in ("application/json", "image/jpeg", "multipart/form-data; boundary=x"):
        await checked(await api.client.patch(begun["url"], data=SMALL, headers={**right, "Content-Type": kind}), 415)
    assert await offset_of(api, ann, begun) == 0


async def test_two_tabs_with_one_key_send_one_file(api: Api, ann: Person, listing_id: int, rows: Rows) -> None:
    first, second = [await begin(api, ann, listing_id, len(FILE), 201, {"Idempotency-Key": '"a"'}) for _ in range(2)]
    assert first == second
    await begin(api, ann, listing_id, len(FILE) - 1, 422, {"Idempotency-Key": '"a"'})
    responses = await asyncio.gather(
        *(api.client.patch(first["url"], data=FILE, headers=part(ann, 0)) for _ in range(2))
    )
    found = sorted([(await _body(response)) for response in responses], key=lambda one: one[0])
    assert found[0][0] == 201
    assert found[1][1]["type"] in ("/problems/mismatching-upload-offset", "/problems/completed-upload")
    done = await api.call("GET", first["url"], 200, who=ann)
    assert done["picture"] == found[0][1]
    assert await rows.fetch("SELECT count(*) FROM pictures") == [(1,)]


async def _body(response: ClientResponse) -> tuple[int, Any]:
    return response.status, await response.json()


async def test_of_two_that_finish_at_once_one_makes_the_picture(
    api: Api, ann: Person, listing_id: int, rows: Rows, settings: Settings
) -> None:
    begun = await begin(api, ann, listing_id, len(SMALL))
    await append(api, ann, begun, 0, SMALL, 204, is_last=False)
    responses = await asyncio.gather(
        *(api.client.patch(begun["url"], data=b"", headers=part(ann, len(SMALL))) for _ in range(3))
    )
    assert sorted(response.status for response in responses) == [201, 410, 410]
    assert await rows.fetch("SELECT count(*) FROM pictures") == [(1,)]
    await wait_for_files(settings, 3)


async def test_a_file_that_is_no_picture_is_refused_and_leaves_nothing(
    api: Api, ann: Person, listing_id: int, rows: Rows, settings: Settings
) -> None:
    for data, status in ((bytes(LEAST_APPENDED), 415), (b"GIF89a" + bytes(LEAST_APPENDED), 422)):
        begun = await begin(api, ann, listing_id, len(data))
        response = await api.client.patch(begun["url"], data=data, headers=part(ann, 0))
        # The file is there as a whole: sending it again is of no use.
        assert response.headers["Upload-Complete"] == "?1"
        await checked(response, status)
        await api.call("GET", begun["url"], 404, who=ann)
    for _ in range(10):
        await upload(api, listing_id, ann)
    begun = await begin(api, ann, listing_id, len(SMALL))
    problem = await append(api, ann, begun, 0, SMALL, 409)
    assert problem["type"] == "/problems/too-many-pictures"
    await wait_for_files(settings, 30)
    assert await rows.fetch("SELECT id FROM uploads") == []


async def test_what_arrived_is_kept_while_no_picture_can_be_processed(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(picture_workers=1, max_waiting_pictures=0)
    ann, bob = await api.register(), await api.register()
    begun = await begin(api, ann, await rows.listing(ann.id), len(SMALL))
    assert api.client.app is not None
    with api.client.app[SERVICES].picture_workers.place(bob.id):
        response = await api.client.patch(begun["url"], data=SMALL, headers=part(ann, 0))
        assert int(response.headers["Retry-After"]) > 0
        await checked(response, 503)
    assert await offset_of(api, ann, begun) == len(SMALL)
    await append(api, ann, begun, len(SMALL), b"")


async def test_an_upload_that_stands_still_ends_and_keeps_what_arrived(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(picture_still_seconds=0.5)
    ann = await api.register()
    begun = await begin(api, ann, await rows.listing(ann.id), len(SMALL))
    over = asyncio.Event()

    async def stops() -> AsyncIterator[bytes]:
        yield SMALL[:30_000]
        await over.wait()

    response = await api.client.patch(begun["url"], data=stops(), headers=part(ann, 0))
    over.set()
    problem = await checked(response, 400)
    assert problem["type"] == "/problems/too-slow"
    assert await offset_of(api, ann, begun) == 30_000


async def test_what_has_arrived_counts_although_nothing_says_that_the_line_was_cut(
    make_api: MakeApi, rows: Rows
) -> None:
    api = await make_api(picture_still_seconds=300.0)
    ann = await api.register()
    upload = await begin(api, ann, await rows.listing(ann.id), len(SMALL))
    # Half of the body is on its way, and then nothing: no end, and no error.
    is_over = asyncio.Event()

    async def cut() -> AsyncIterator[bytes]:
        yield SMALL[:30_000]
        await is_over.wait()
        yield SMALL[30_000:]

    lost = asyncio.create_task(api.client.patch(upload["url"], data=cut(), headers=part(ann, 0)))
    assert await until_offset(api, ann, upload, 30_000) == 30_000
    # The rest comes on another connection. What comes late on the old one changes nothing.
    await append(api, ann, upload, 30_000, SMALL[30_000:])
    is_over.set()
    await checked(await lost, 410)


async def test_uploads_that_arrive_at_once_are_bounded_by_process_and_account(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(max_arriving_parts=1)
    ann = await api.register()
    one, two = [await begin(api, ann, await rows.listing(ann.id), len(SMALL)) for _ in range(2)]
    assert api.client.app is not None
    receiving, over = api.client.app[SERVICES].receiving, asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield SMALL[:30_000]
        await over.wait()
        yield SMALL[30_000:]

    under_way = asyncio.create_task(api.client.patch(one["url"], data=slowly(), headers=part(ann, 0)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not receiving.is_full:  # noqa: ASYNC110 (there is no event for this)
            await asyncio.sleep(0)
    await append(api, ann, two, 0, SMALL, 503)
    over.set()
    await checked(await under_way, 201)
    await append(api, ann, two, 0, SMALL)


async def test_a_person_keeps_a_few_uploads_and_all_together_a_number_of_bytes(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(max_unfinished_upload_bytes=20 * len(SMALL))
    ann, bob, eve = [await api.register() for _ in range(3)]
    of_ann, of_bob, of_eve = [await rows.listing(one.id) for one in (ann, bob, eve)]
    begun = [await begin(api, ann, of_ann, len(SMALL)) for _ in range(MAX_UPLOADS)]
    await append(api, ann, begun[0], 0, SMALL[:20_000], 204, is_last=False)
    begun.append(await begin(api, ann, of_ann, len(SMALL)))
    # The one that has stood still for longest has ended.
    await api.call("GET", begun[1]["url"], 404, who=ann)
    for one in (begun[0], *begun[2:]):
        await api.call("GET", one["url"], 200, who=ann)
    for _ in range(20 - MAX_UPLOADS):
        await begin(api, bob, of_bob, len(SMALL))
    await begin(api, eve, of_eve, len(SMALL), 503)
    # Pictures in one piece are taken as before, and a finished upload makes room.
    await upload(api, of_eve, eve)
    await append(api, ann, begun[0], 20_000, SMALL[20_000:])
    await begin(api, eve, of_eve, len(SMALL))


async def test_an_upload_ends_when_its_time_is_over_and_with_its_listing_or_its_user(
    api: Api, ann: Person, listing_id: int, rows: Rows, settings: Settings
) -> None:
    old, ended, of_gone, kept = [await begin(api, ann, await rows.listing(ann.id), len(SMALL)) for _ in range(4)]
    for one in (old, ended, of_gone, kept):
        await append(api, ann, one, 0, SMALL[:20_000], 204, is_last=False)
    assert len(files(settings)) == 4
    await rows.execute("UPDATE uploads SET expires_at = now() WHERE id = %s", old["id"])
    await append(api, ann, old, 20_000, SMALL[20_000:], 404)
    database = Database(settings)
    async with database.transaction() as transaction:
        assert await remove_old_uploads(transaction)
    await api.call("DELETE", ended["url"], 204, who=ann)
    await rows.execute("DELETE FROM listings WHERE id = (SELECT listing_id FROM uploads WHERE id = %s)", of_gone["id"])
    assert api.client.app is not None
    api.client.app[SERVICES].abandoned_files.wake()
    await wait_for_files(settings, 1)
    await api.call("DELETE", "/api/me", 204, who=ann, json={"current_password": "correct horse battery"})
    done = False
    while not done:
        async with database.transaction() as transaction:
            done = await erase_some(transaction, after_days=0)
    await database.close()
    api.client.app[SERVICES].abandoned_files.wake()
    await wait_for_files(settings, 0)
    assert await rows.fetch("SELECT id FROM uploads") == []


async def test_an_upload_to_a_listing_that_was_trashed_or_is_no_longer_ones_own_to_change_is_refused(
    api: Api, ann: Person, listing_id: int, rows: Rows
) -> None:
    admin = await api.register(role=Role.ADMIN)
    begun, of_admin = await begin(api, ann, listing_id, len(SMALL)), await begin(api, admin, listing_id, len(SMALL))
    await append(api, admin, of_admin, 0, SMALL[:20_000], 204, is_last=False)
    await rows.execute("UPDATE users SET role = 'user' WHERE id = %s", admin.id)
    await append(api, admin, of_admin, 20_000, SMALL[20_000:], 403)
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=ann)
    await append(api, ann, begun, 0, SMALL, 404)


async def test_beginning_an_upload_counts_as_an_upload_of_a_picture(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(pictures_per_account_minute=2)
    ann = await api.register()
    listing_id = await rows.listing(ann.id)
    for _ in range(2):
        await begin(api, ann, listing_id, len(SMALL))
    await begin(api, ann, listing_id, len(SMALL), 429)
    problem = await upload(api, listing_id, ann, 429)
    assert problem["type"] == "/problems/too-many-requests"


async def test_a_whole_file_is_still_taken_in_one_request(api: Api, ann: Person, listing_id: int) -> None:
    form = FormData()
    form.add_field("picture", FILE, filename="car.jpg")
    path = f"/api/listings/{listing_id}/pictures"
    await checked(await api.client.post(path, data=form, headers=ann.headers), 201)
