"""Pictures of a listing: uploading, serving and removing them, permissions, limits, and what caches may keep."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, MultipartWriter
from PIL import Image

from api.services import SERVICES
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import Api, MakeApi, Person, checked
from tests.api.pictures.samples import corners, encoded, opened, quarters
from tests.api.rows import Rows
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")


def a_jpeg() -> bytes:
    return encoded(quarters(), "JPEG")


def form(data: bytes, field: str = "picture", name: str = "car.jpg") -> FormData:
    given = FormData(quote_fields=False)
    given.add_field(field, data, filename=name, content_type="image/jpeg")
    return given


async def upload(api: Api, listing_id: int, who: Person | None, status: int = 201, data: bytes | None = None) -> Any:
    path = f"/api/listings/{listing_id}/pictures"
    return await api.call("POST", path, status, who=who, data=form(a_jpeg() if data is None else data))


def files(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_directory / "pictures").rglob("*") if path.is_file()]


async def wait_for_files(settings: Settings, count: int) -> None:
    """Wait until there are `count` files. A folder gives no event for that."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(files(settings)) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_picture_is_stored_and_served_in_three_sizes(api: Api, rows: Rows) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    picture = await upload(api, listing_id, seller, data=encoded(Image.new("RGB", (3000, 1500)), "PNG"))
    assert picture == {
        "id": picture["id"],
        "url": f"/api/pictures/{picture['id']}",
        "thumbnail_url": f"/api/pictures/{picture['id']}/thumbnail",
        "width": 2048,
        "height": 1024,
        "sizes": [
            {"url": picture["thumbnail_url"], "width": 480},
            {"url": f"/api/pictures/{picture['id']}/medium", "width": 800},
        ],
    }
    assert (await api.call("GET", f"/api/listings/{listing_id}", 200))["pictures"] == [picture]
    [listed] = (await api.call("GET", "/api/listings", 200))["data"]
    assert listed["pictures"] == [picture]
    for url, width, kind in (
        (picture["url"], 2048, "image/jpeg"),
        *((size["url"], size["width"], "image/webp") for size in picture["sizes"]),
    ):
        response = await api.client.get(url)
        assert response.status == 200
        assert response.content_type == kind
        assert opened(await response.read()).width == width
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Disposition"].startswith("inline; filename=")
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        head = await api.client.head(url)
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["ETag"] == response.headers["ETag"]


async def test_a_picture_of_an_earlier_version_is_shown_in_the_sizes_that_it_has(
    api: Api, rows: Rows, settings: Settings
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    picture = await upload(api, listing_id, seller)
    # Its row is as an API of the earlier version makes it, also beside this one during an upgrade.
    [(medium,)] = await rows.fetch("SELECT medium_key FROM pictures")
    (settings.data_directory / "pictures" / medium).unlink()
    await rows.execute("""UPDATE pictures SET medium_key = NULL, medium_content_type = NULL, medium_size = NULL,
        medium_width = NULL, thumbnail_width = NULL""")
    [shown] = (await api.call("GET", f"/api/listings/{listing_id}", 200))["pictures"]
    assert shown == picture | {"sizes": []}
    for url in (shown["url"], shown["thumbnail_url"]):
        assert (await api.client.get(url)).status == 200
    await api.call("GET", picture["sizes"][1]["url"], 404)
    await api.call("DELETE", f"/api/listings/{listing_id}/pictures/{picture['id']}", 204, who=seller)
    await wait_for_files(settings, 0)


@pytest.mark.parametrize("format_name", ["HEIF", "AVIF", "GIF", "JPEG"])
async def test_a_picture_as_a_phone_makes_it_is_taken_whatever_its_name_says(
    api: Api, rows: Rows, format_name: str
) -> None:
    seller = await api.register()
    data = encoded(quarters(), format_name)
    # The form says `car.jpg` and image/jpeg of each; the JPEG lacks its last two bytes.
    picture = await upload(
        api, await rows.listing(seller.id), seller, data=data[:-2] if format_name == "JPEG" else data
    )
    assert (picture["width"], picture["height"]) == (96, 64)
    stored = await api.client.get(picture["url"])
    assert stored.content_type == "image/jpeg"
    assert corners(opened(await stored.read())) == ["red", "green", "blue", "white"]


async def test_a_listing_says_that_it_changed_when_a_picture_comes_or_goes(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.repositories.pictures.MAX_PICTURES", 1)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)

    async def updated_at() -> str:
        return str((await api.call("GET", f"/api/listings/{listing_id}", 200))["updated_at"])

    made = await updated_at()
    picture = await upload(api, listing_id, seller)
    added = await updated_at()
    await upload(api, listing_id, seller, 409)
    assert await updated_at() == added
    await api.call("DELETE", f"/api/listings/{listing_id}/pictures/{picture['id']}", 204, who=seller)
    assert made < added < await updated_at()


async def test_a_cached_picture_is_304_as_long_as_the_user_may_see_it(api: Api, rows: Rows) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    url = (await upload(api, listing_id, seller))["url"]
    response = await api.client.get(url)
    etag = response.headers["ETag"]
    assert response.headers["Cache-Control"] == "public, max-age=300"
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = await api.client.get(url, headers={"If-None-Match": known})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", etag)
    assert (await api.client.get(url, headers={"If-None-Match": '"other"'})).status == 200
    await rows.execute("UPDATE listings SET hidden_at = now() WHERE id = %s", listing_id)
    await checked(await api.client.get(url, headers={"If-None-Match": etag}), 404)
    own = await api.client.get(url, headers=seller.headers)
    assert (own.status, own.headers["Cache-Control"]) == (200, "private, no-store")


@pytest.mark.parametrize(
    ("listing", "category"),
    [({"visibility": "private"}, "public"), ({}, "private"), ({"hidden_at": "now()"}, "public")],
)
async def test_pictures_are_served_only_to_people_who_may_see_the_listing(
    api: Api, rows: Rows, listing: dict[str, Any], category: str
) -> None:
    seller, other = await api.register(), await api.register()
    moderator = await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id, await rows.category(category), **listing)
    picture = await upload(api, listing_id, seller)
    for url in (picture["url"], *(size["url"] for size in picture["sizes"])):
        await api.call("GET", url, 404)
        response = await api.client.get(url, headers=other.headers)
        assert response.status == (404 if "hidden_at" in listing else 200)
        for who in (seller, moderator):
            response = await api.client.get(url, headers=who.headers)
            assert (response.status, response.headers["Cache-Control"]) == (200, "private, no-store")
        await api.call("GET", url, 401, headers={"Authorization": "Bearer bad"})


async def test_only_people_who_may_edit_a_listing_may_change_its_pictures(api: Api, rows: Rows) -> None:
    seller, other = await api.register(), await api.register()
    moderator, admin = await api.register(role=Role.MODERATOR), await api.register(role=Role.ADMIN)
    listing_id = await rows.listing(seller.id)
    hidden_id = await rows.listing(seller.id, hidden_at="now()")
    picture = await upload(api, listing_id, seller)
    path = f"/api/listings/{listing_id}/pictures"
    for who in (other, moderator):
        await upload(api, listing_id, who, 403)
        await api.call("DELETE", f"{path}/{picture['id']}", 403, who=who)
    await upload(api, listing_id, None, 401)
    await upload(api, hidden_id, other, 404)
    added = await upload(api, listing_id, admin)
    await api.call("DELETE", f"{path}/{picture['id']}", 204, who=admin)
    await api.call("DELETE", f"{path}/{added['id']}", 204, who=seller)
    await api.call("DELETE", f"{path}/{added['id']}", 404, who=seller)
    acts = (await api.call("GET", "/api/audit", 200, who=admin))["data"]
    assert [(act["action"], act["target"]["id"]) for act in acts] == [
        ("picture_delete", picture["id"]),
        ("picture_add", added["id"]),
    ]


async def test_pictures_are_in_the_sellers_order_and_those_not_named_stay_behind(api: Api, rows: Rows) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}"
    a, b, c, d = [(await upload(api, listing_id, seller))["id"] for _ in range(4)]

    async def arrange(*first: int) -> list[int]:
        answer = await api.call("PUT", f"{path}/pictures/order", 200, who=seller, json={"pictures": first})
        order = [one["id"] for one in answer["pictures"]]
        # Everybody sees the same order: in the list, on the page, and in previews of links.
        [listed] = (await api.call("GET", "/api/listings", 200))["data"]
        for shown in (listed, await api.call("GET", path, 200)):
            assert [one["id"] for one in shown["pictures"]] == order
        for page in ("/", f"/listings/{listing_id}"):
            html = await (await api.client.get(page, headers={"Accept": "text/html"})).text()
            assert f"/api/pictures/{order[0]}" in html.partition("</head>")[0] + html.partition("<main")[2]
            assert page == "/" or f'og:image" content="{api.client.make_url("/")}api/pictures/{order[0]}"' in html
        return order

    assert await arrange(c, a) == [c, a, b, d]
    assert await arrange(d) == [d, c, a, b]
    assert await arrange() == [d, c, a, b]
    # One that came while the seller arranged the others.
    e = (await upload(api, listing_id, seller))["id"]
    assert await arrange(b, d) == [b, d, c, a, e]
    await api.call("DELETE", f"{path}/pictures/{b}", 204, who=seller)
    assert await arrange(e, d, c, a) == [e, d, c, a]


async def test_a_wrong_order_of_pictures_changes_nothing(api: Api, rows: Rows) -> None:
    seller = await api.register()
    listing_id, other_id = await rows.listing(seller.id), await rows.listing(seller.id)
    first, second = [(await upload(api, listing_id, seller))["id"] for _ in range(2)]
    foreign = (await upload(api, other_id, seller))["id"]
    path = f"/api/listings/{listing_id}/pictures/order"
    before = await api.call("GET", f"/api/listings/{listing_id}", 200)
    wrong: list[Any] = [
        [foreign],
        [second, 2**40],
        [second, second],
        [second, 0],
        [second, None],
        [second, [first]],
        [second, True],
        [second, 1.5],
        list(range(1, 12)),
        None,
        "12",
        {"0": second},
    ]
    for order in wrong:
        problem = await api.call("PUT", path, 422, who=seller, json={"pictures": order})
        assert set(problem["errors"]) == {"pictures"}, order
    await api.call("PUT", path, 422, who=seller, json={})
    await api.call("PUT", path, 422, who=seller, json=[second, first])
    assert await api.call("GET", f"/api/listings/{listing_id}", 200) == before


async def test_an_order_of_pictures_heeds_the_version_of_the_listing(api: Api, rows: Rows) -> None:
    seller, admin = await api.register(), await api.register(role=Role.ADMIN)
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}"
    first, second = [(await upload(api, listing_id, seller))["id"] for _ in range(2)]
    seen = await api.client.get(path, headers=seller.headers)
    tag = {"If-Match": seen.headers["ETag"]}
    third = (await upload(api, listing_id, seller))["id"]
    body = {"pictures": [second, first]}
    problem = await api.call("PUT", f"{path}/pictures/order", 412, who=seller, json=body, headers=tag)
    assert problem["type"] == "/problems/changed-meanwhile"
    seen = await api.client.get(path, headers=seller.headers)
    tag = {"If-Match": seen.headers["ETag"]}
    answer = await api.call("PUT", f"{path}/pictures/order", 200, who=seller, json=body, headers=tag)
    assert [one["id"] for one in answer["pictures"]] == [second, first, third]
    await api.call("PUT", f"{path}/pictures/order", 200, who=admin, json={"pictures": [third]})
    [act] = (await api.call("GET", "/api/audit", 200, who=admin))["data"]
    assert (act["action"], act["target"]["id"]) == ("picture_arrange", listing_id)


async def test_a_picture_can_be_removed_only_through_its_own_listing(api: Api, rows: Rows) -> None:
    seller = await api.register()
    first, second = await rows.listing(seller.id), await rows.listing(seller.id)
    picture = await upload(api, first, seller)
    await api.call("DELETE", f"/api/listings/{second}/pictures/{picture['id']}", 404, who=seller)
    assert (await api.client.get(picture["url"])).status == 200


async def test_files_are_deleted_with_their_picture_and_with_its_listing(
    api: Api, rows: Rows, settings: Settings
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    pictures = [await upload(api, listing_id, seller) for _ in range(2)]
    assert len(files(settings)) == 6
    await api.call("DELETE", f"/api/listings/{listing_id}/pictures/{pictures[0]['id']}", 204, who=seller)
    await wait_for_files(settings, 3)
    await api.call("GET", pictures[0]["url"], 404)
    await rows.execute("DELETE FROM listings WHERE id = %s", listing_id)
    assert api.client.app is not None
    api.client.app[SERVICES].abandoned_files.wake()
    await wait_for_files(settings, 0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rows.fetch("SELECT key FROM abandoned_files"):
            pass


async def test_of_concurrent_uploads_for_the_last_place_one_succeeds(
    make_api: MakeApi, rows: Rows, settings: Settings
) -> None:
    api = await make_api(max_waiting_pictures=20)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}/pictures"
    data = a_jpeg()
    for _ in range(9):
        await upload(api, listing_id, seller)
    responses = await asyncio.gather(
        *(api.client.post(path, data=form(data), headers=seller.headers) for _ in range(3))
    )
    assert sorted(response.status for response in responses) == [201, 409, 409]
    problem = await upload(api, listing_id, seller, 409)
    assert problem["type"] == "/problems/too-many-pictures"
    assert await rows.fetch("SELECT count(*) FROM pictures") == [(10,)]
    assert len(files(settings)) == 30


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 415),
        (b"GIF89a" + bytes(100), 422),
        (b"\0\0\0\x1cftypqt  " + bytes(100), 415),
        (encoded(quarters(), "HEIF")[:-300], 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (a_jpeg()[:300], 422),
        (a_jpeg() + bytes(200_000), 413),
    ],
)
async def test_a_refused_picture_leaves_neither_file_nor_row(
    make_api: MakeApi, rows: Rows, settings: Settings, data: bytes, status: int
) -> None:
    api = await make_api(max_picture_bytes=100_000)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    problem = await upload(api, listing_id, seller, status, data)
    if status == 422:
        assert set(problem["errors"]) == {"picture"}
    assert files(settings) == []
    assert await rows.fetch("SELECT id FROM pictures") == []


async def test_a_malformed_form_is_refused(api: Api, rows: Rows) -> None:
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/pictures"
    await api.call("POST", path, 415, who=seller, json={"picture": "x"})
    await api.call("POST", path, 415, who=seller, data=a_jpeg(), headers={"Content-Type": "image/jpeg"})
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary=" + "x" * 99):
        for body in (
            b"",
            b"--x",
            b"--x\r\n",
            b"--x\r\n\r\n",
            b'--x\r\nContent-Disposition: form-data; name="picture"\r\n\r\nab',
        ):
            await api.call("POST", path, 400, who=seller, data=body, headers={"Content-Type": kind})
    problem = await api.call("POST", path, 422, who=seller, data=form(a_jpeg(), "photo"))
    assert problem["errors"] == {"photo": ["Unknown field."]}
    empty = {"Content-Type": "multipart/form-data; boundary=x"}
    problem = await api.call("POST", path, 422, who=seller, data=b"--x--\r\n", headers=empty)
    assert problem["errors"] == {"picture": ["Missing."]}
    twice = form(a_jpeg())
    twice.add_field("picture", a_jpeg(), filename="b.jpg")
    await api.call("POST", path, 422, who=seller, data=twice)
    with MultipartWriter("form-data") as outer:
        with MultipartWriter("mixed") as inner:
            inner.append("x")
        outer.append(inner)
    await api.call("POST", path, 400, who=seller, data=outer)
    await api.call("POST", path + "?unknown=1", 422, who=seller, data=form(a_jpeg()))
    assert await rows.fetch("SELECT id FROM pictures") == []


async def test_uploads_of_an_account_have_a_limit_of_their_own(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(pictures_per_account_minute=2)
    seller, other = await api.register(), await api.register()
    listing_id, of_other = await rows.listing(seller.id), await rows.listing(other.id)
    for _ in range(2):
        await upload(api, listing_id, seller)
    problem = await upload(api, listing_id, seller, 429)
    assert problem["type"] == "/problems/too-many-requests"
    await upload(api, of_other, other)
    # Other requests that change something are counted apart.
    await api.call("PATCH", "/api/me", 200, who=seller, json={"name": "Anna"})


async def test_an_upload_that_stands_still_gets_no_status_that_browsers_repeat(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(picture_still_seconds=0.05)
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/pictures"
    gone = asyncio.Event()

    async def trickle() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="x"\r\n\r\n'
        await gone.wait()

    headers = {**seller.headers, "Content-Type": "multipart/form-data; boundary=x"}
    response = await api.client.post(path, data=trickle(), headers=headers)
    gone.set()
    problem = await checked(response, 400)
    assert problem["type"] == "/problems/too-slow"


async def test_without_the_storage_pictures_are_503_and_no_row_changes(
    make_api: MakeApi, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "nowhere")
    away = await make_api(
        pictures_url="s3://bucket/prefix", aws_endpoint_url="http://127.0.0.1:1", pictures_timeout_seconds=1.0
    )
    here = await make_api()
    seller = await here.register()
    listing_id = await rows.listing(seller.id)
    picture = await upload(here, listing_id, seller)
    for response in (
        await away.client.get(picture["url"]),
        await away.client.post(f"/api/listings/{listing_id}/pictures", data=form(a_jpeg()), headers=seller.headers),
    ):
        assert int(response.headers["Retry-After"]) > 0
        await checked(response, 503)
    assert await rows.fetch("SELECT id FROM pictures") == [(picture["id"],)]


async def test_a_picture_whose_file_is_gone_is_404(api: Api, rows: Rows, settings: Settings) -> None:
    seller = await api.register()
    picture = await upload(api, await rows.listing(seller.id), seller)
    for file in files(settings):
        file.unlink()
    await api.call("GET", picture["url"], 404)


async def test_too_many_concurrent_uploads_get_503_with_retry_after(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(picture_workers=1, max_waiting_pictures=1)
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/pictures"
    data = a_jpeg()
    responses = await asyncio.gather(
        *(api.client.post(path, data=form(data), headers=seller.headers) for _ in range(6))
    )
    assert sorted({response.status for response in responses}) == [201, 503]
    assert all("Retry-After" in response.headers for response in responses if response.status == 503)


async def test_an_upload_takes_its_place_before_its_body_is_read(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(picture_workers=1, max_waiting_pictures=2)
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/pictures"
    headers = {**seller.headers, "Content-Type": "multipart/form-data; boundary=x"}
    finish = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def slowly() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="x"\r\n\r\n'
        begun.release()
        await finish.wait()
        yield a_jpeg() + b"\r\n--x--\r\n"

    assert api.client.app is not None
    workers = api.client.app[SERVICES].picture_workers
    under_way = [asyncio.create_task(api.client.post(path, data=slowly(), headers=headers)) for _ in range(3)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(3):
            await begun.acquire()
        while workers.free:  # noqa: ASYNC110 (the pool has no event for this)
            await asyncio.sleep(0)
        # The fourth upload is refused before its body has come.
        refused = await api.client.post(path, data=slowly(), headers=headers)
    assert int(refused.headers["Retry-After"]) > 0
    await checked(refused, 503)
    # Other faults of a request are still reported first.
    await api.call("POST", path, 415, who=seller, json={"picture": "x"})
    await api.call("POST", path, 401, data=form(a_jpeg()))
    finish.set()
    assert [(await response).status for response in under_way] == [201, 201, 201]
    await checked(await api.client.post(path, data=form(a_jpeg()), headers=seller.headers), 201)


async def test_a_client_that_disconnects_during_its_upload_frees_its_place(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(picture_workers=1, max_waiting_pictures=1)
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/pictures"
    assert api.client.app is not None
    workers = api.client.app[SERVICES].picture_workers
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {seller.access_token}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000\r\n\r\n--x\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while workers.free == 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
            writer.transport.abort()
            while workers.free < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
    await checked(await api.client.post(path, data=form(a_jpeg()), headers=seller.headers), 201)
