"""A picture's files and its row stay together when a process or a connection dies between storing and committing.

No file is lost, and no file is left over.
"""

from __future__ import annotations

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import FormData
from obstore.store import S3Store
from psycopg2.extensions import make_dsn

from api.pictures.storage import new_key, open_store
from shared.postgres import Database, Statement
from shared.postgres.address import parsed
from shared.postgres.connection import Connection
from shared.settings import Settings
from tests.api.conftest import MakeApi, checked
from tests.api.pictures.conftest import MakeSettings
from tests.api.pictures.samples import encoded, quarters
from tests.api.rows import Rows
from tests.support.processes import Processes
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
KILL_OTHERS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE pid <> pg_backend_pid() AND datname = current_database()"""
LOCK = "SELECT FROM listings WHERE id = %s FOR UPDATE"


class Kept:
    """Lists the files of a picture storage, a folder or a bucket."""

    def __init__(self, settings: Settings) -> None:
        self.changes = {"pictures_url": settings.pictures_url, "aws_endpoint_url": settings.aws_endpoint_url}
        self._settings = settings

    def environment(self) -> dict[str, str]:
        credentials = {name: os.environ[name] for name in AWS if name in os.environ}
        return {**credentials, **{name.upper(): value for name, value in self.changes.items()}}

    async def files(self) -> set[str]:
        return await asyncio.to_thread(self._files)

    def _files(self) -> set[str]:
        store = open_store(self._settings)
        if isinstance(store, S3Store):
            return {found["path"] for page in store.list() for found in page}
        folder = Path(urllib.request.url2pathname(urlsplit(self._settings.pictures_url).path))
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    async def count_to(self, count: int) -> None:
        """Wait until there are `count` files. Neither a folder nor a bucket gives an event for that."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(await self.files()) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def kept(make_settings: MakeSettings) -> Kept:
    return Kept(make_settings())


def form() -> FormData:
    given = FormData(quote_fields=False)
    given.add_field("picture", encoded(quarters(), "JPEG"), filename="car.jpg", content_type="image/jpeg")
    return given


async def wait_until_no_file_is_abandoned(rows: Rows) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rows.fetch("SELECT key FROM abandoned_files"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def locked(rows: Rows, listing_id: int) -> AsyncIterator[None]:
    """Locks a listing: no picture's row can be inserted for it until this block ends."""
    async with rows.database.transaction() as transaction:
        await transaction.fetch(Statement("", LOCK), listing_id)
        yield


async def test_a_process_killed_before_the_row_leaves_no_file(processes: Processes, rows: Rows, kept: Kept) -> None:
    api = await processes.api(**kept.environment(), PICTURE_GRACE_SECONDS="1")
    async with aiohttp.ClientSession(api.url) as client:
        body = {"email": "dave@example.com", "password": "correct horse battery", "name": "Dave"}
        async with client.post("/api/register", json=body) as response:
            headers = {"Authorization": f"Bearer {(await response.json())['access_token']}"}
        listing_id = await rows.listing(1)
        path = f"/api/listings/{listing_id}/pictures"
        async with client.post(path, data=form(), headers=headers) as response:
            assert response.status == 201
        stays = await kept.files()
        assert len(stays) == 3
        async with locked(rows, listing_id):
            uploading = asyncio.create_task(client.post(path, data=form(), headers=headers))
            await kept.count_to(6)
            api.kill()
            with pytest.raises(aiohttp.ClientError):
                await uploading
    await processes.api(**kept.environment(), ABANDONED_FILES_SECONDS="0.1")
    await kept.count_to(3)
    await wait_until_no_file_is_abandoned(rows)
    assert await kept.files() == stays
    assert len(await rows.fetch("SELECT key FROM pictures")) == 1


@pytest.fixture
async def postgres(settings: Settings) -> AsyncIterator[Proxy]:
    parts = parsed(settings.database_url)
    async with Proxy(f"{parts['host']}/.s.PGSQL.{parts['port']}") as proxy:
        yield proxy


@pytest.fixture
def before_commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], Awaitable[object]]]]:
    """The functions in this list run just before the COMMIT of a picture's row is sent, one for each COMMIT."""
    planned: list[Callable[[], Awaitable[object]]] = []
    adding: set[Connection] = set()
    run = Connection.run

    async def observed(self: Connection, query: str, *more: object) -> object:
        if query.startswith('EXECUTE "picture_add"'):
            adding.add(self)
        if query == "COMMIT" and self in adding:
            adding.discard(self)
            await planned.pop()()
        return await run(self, query, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "run", observed)
    yield planned
    assert not planned


async def test_a_picture_keeps_its_files_when_the_answer_to_its_commit_is_lost(
    make_api: MakeApi,
    rows: Rows,
    kept: Kept,
    settings: Settings,
    postgres: Proxy,
    before_commit: list[Callable[[], Awaitable[object]]],
) -> None:
    behind = make_dsn(**{**parsed(settings.database_url), "host": "127.0.0.1", "port": str(postgres.port)})
    api = await make_api(
        **kept.changes, database_url=behind, database_timeout_seconds=1.0, picture_grace_seconds=5.0,
        abandoned_files_seconds=0.1,
    )  # fmt: skip
    seller = await api.register()
    listing_id = await rows.listing(seller.id)

    async def lose_the_answer() -> None:
        postgres.cut_answers()

    before_commit.append(lose_the_answer)
    response = await api.client.post(f"/api/listings/{listing_id}/pictures", data=form(), headers=seller.headers)
    await checked(response, 503)
    postgres.mend()
    [(picture_id,)] = await rows.fetch("SELECT id FROM pictures")
    # No row says that the files may be deleted, and nothing else says so later.
    await wait_until_no_file_is_abandoned(rows)
    assert len(await kept.files()) == 3
    for kind in ("", "/medium", "/thumbnail"):
        assert (await api.client.get(f"/api/pictures/{picture_id}{kind}")).status == 200


async def test_a_failed_commit_leaves_no_file(
    make_api: MakeApi, rows: Rows, kept: Kept, settings: Settings, before_commit: list[Callable[[], Awaitable[object]]]
) -> None:
    api = await make_api(**kept.changes, picture_grace_seconds=1.0, abandoned_files_seconds=0.1)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    other = Database(replace(settings, database_pool_size=1))

    async def cut_off() -> None:
        await Rows(other).fetch(KILL_OTHERS)

    before_commit.append(cut_off)
    response = await api.client.post(f"/api/listings/{listing_id}/pictures", data=form(), headers=seller.headers)
    await checked(response, 503)
    await other.close()
    await kept.count_to(0)
    await wait_until_no_file_is_abandoned(rows)
    assert await rows.fetch("SELECT id FROM pictures") == []


async def test_a_row_that_comes_after_its_files_were_deleted_is_refused(
    make_api: MakeApi, rows: Rows, kept: Kept
) -> None:
    api = await make_api(**kept.changes, picture_grace_seconds=0.3, abandoned_files_seconds=0.05)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}/pictures"
    async with locked(rows, listing_id):
        uploading = asyncio.create_task(api.client.post(path, data=form(), headers=seller.headers))
        await kept.count_to(3)
        await kept.count_to(0)
    await checked(await uploading, 503)
    assert await rows.fetch("SELECT id FROM pictures") == []
    assert await rows.fetch("SELECT key FROM abandoned_files") == []
    await checked(await api.client.post(path, data=form(), headers=seller.headers), 201)


async def test_files_of_a_committed_picture_outlive_the_grace_time(make_api: MakeApi, rows: Rows, kept: Kept) -> None:
    api = await make_api(**kept.changes, picture_grace_seconds=1.0, abandoned_files_seconds=0.05)
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}/pictures"
    await checked(await api.client.post(path, data=form(), headers=seller.headers), 201)
    assert await rows.fetch("SELECT key FROM abandoned_files") == []
    # This key is abandoned after the picture was stored, so the picture's own files would be deleted before it.
    later = new_key("image/jpeg")
    await rows.execute("INSERT INTO abandoned_files (key, since) VALUES (%s, now() + interval '1 second')", later)
    await wait_until_no_file_is_abandoned(rows)
    assert len(await kept.files()) == 3
