"""One suite for a local folder and for an S3-compatible bucket: whoever keeps pictures must not notice which it is."""

from __future__ import annotations

import asyncio
import os
import socket
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from obstore.store import S3Store

from api.pictures.errors import PictureMissing, StorageUnavailable
from api.pictures.storage import PictureStorage, new_key, open_store
from shared.settings import InvalidSettings, Settings
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


MakeSettings = Callable[[], Settings]


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """An S3 server of moto's, in this process, on a free port."""
    # It takes seconds to import, and only the tests of the bucket need it.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def create_bucket(endpoint: str) -> str:
    name = f"pictures-{uuid4().hex}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=10).close()
    return name


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.servers)])
def make_settings(request: pytest.FixtureRequest, tmp_path: Path) -> MakeSettings:
    """Makes settings that name a folder or a bucket of their own, empty."""
    if request.param == "folder":
        return lambda: Settings(pictures_url=(tmp_path / "all pictures" / uuid4().hex).as_uri())
    request.getfixturevalue("aws")
    endpoint = request.getfixturevalue("s3_endpoint")
    return lambda: Settings(pictures_url=f"s3://{create_bucket(endpoint)}/of/cars", aws_endpoint_url=endpoint)


@pytest.fixture
async def storage(make_settings: MakeSettings) -> AsyncIterator[PictureStorage]:
    async with PictureStorage.from_settings(make_settings()) as opened:
        yield opened


async def test_what_was_put_is_what_is_got(storage: PictureStorage) -> None:
    pictures = {new_key("image/jpeg"): b"\xff\xd8 one", new_key("image/webp"): bytes(range(256)) * 40_000}
    for key, data in pictures.items():
        await storage.put(key, data, "image/jpeg" if key.endswith("jpg") else "image/webp")
    assert {key: await storage.get(key) for key in pictures} == pictures


async def test_several_at_a_time_do_not_disturb_each_other(storage: PictureStorage) -> None:
    pictures = {new_key("image/jpeg"): bytes([number]) * 100_000 for number in range(20)}
    await asyncio.gather(*(storage.put(key, data, "image/jpeg") for key, data in pictures.items()))
    assert await asyncio.gather(*map(storage.get, pictures)) == list(pictures.values())


async def test_every_node_sees_the_same_pictures(make_settings: MakeSettings) -> None:
    settings = make_settings()
    key = new_key("image/jpeg")
    async with PictureStorage.from_settings(settings) as one, PictureStorage.from_settings(settings) as other:
        await one.put(key, b"data", "image/jpeg")
        assert await other.get(key) == b"data"
        await other.delete([key])
        with pytest.raises(PictureMissing):
            await one.get(key)


async def test_a_key_without_a_file_is_missing(storage: PictureStorage) -> None:
    with pytest.raises(PictureMissing):
        await storage.get(new_key("image/jpeg"))


async def test_deleting_removes_all_that_are_there_and_does_not_mind_the_others(storage: PictureStorage) -> None:
    kept, *deleted = [new_key("image/jpeg") for _ in range(5)]
    for key in (kept, *deleted):
        await storage.put(key, b"data", "image/jpeg")
    await storage.delete([new_key("image/jpeg"), deleted[0], deleted[0], new_key("image/webp"), *deleted[1:]])
    await storage.delete(deleted)
    await storage.delete([])
    for key in deleted:
        with pytest.raises(PictureMissing):
            await storage.get(key)
    assert await storage.get(kept) == b"data"


async def test_a_key_that_is_not_ours_is_refused_before_anything_happens(storage: PictureStorage) -> None:
    for key in (
        "",
        "../secret",
        "/etc/passwd",
        "ab/name.jpg",
        new_key("image/jpeg") + "/..",
        new_key("image/jpeg")[3:],
    ):
        with pytest.raises(ValueError, match="no key"):
            await storage.put(key, b"data", "image/jpeg")
        with pytest.raises(ValueError, match="no key"):
            await storage.get(key)
        with pytest.raises(ValueError, match="no key"):
            await storage.delete([new_key("image/jpeg"), key])


async def expect_unavailable(storage: PictureStorage) -> None:
    key = new_key("image/jpeg")
    for request in (storage.put(key, b"data", "image/jpeg"), storage.get(key), storage.delete([key])):
        with pytest.raises(StorageUnavailable):
            await request


async def test_a_missing_bucket_is_unavailable_and_not_empty(s3_endpoint: str, aws: None) -> None:
    settings = Settings(pictures_url="s3://nobody-made-this", aws_endpoint_url=s3_endpoint)
    async with PictureStorage.from_settings(settings) as storage:
        await expect_unavailable(storage)


def test_a_folder_that_cannot_be_made_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_bytes(b"")
    with pytest.raises(InvalidSettings, match=r"^DATA_DIRECTORY: "):
        PictureStorage.from_settings(Settings(data_directory=tmp_path))


async def test_a_folder_that_goes_away_is_unavailable_and_not_empty(tmp_path: Path) -> None:
    async with PictureStorage.from_settings(Settings(data_directory=tmp_path)) as storage:
        (tmp_path / "pictures").rmdir()
        (tmp_path / "pictures").write_bytes(b"")
        await expect_unavailable(storage)


async def test_a_server_that_does_not_answer_is_unavailable(aws: None) -> None:
    settings = Settings(
        pictures_url="s3://pictures",
        aws_endpoint_url=f"http://127.0.0.1:{free_port()}",
        pictures_timeout_seconds=1.0,
    )
    async with PictureStorage.from_settings(settings) as storage, asyncio.timeout(10):
        await expect_unavailable(storage)


async def test_a_server_that_hangs_is_unavailable_in_time(aws: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(
            pictures_url="s3://pictures",
            aws_endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            pictures_timeout_seconds=0.3,
        )
        async with PictureStorage.from_settings(settings) as storage, asyncio.timeout(10):
            await expect_unavailable(storage)


async def test_a_closed_storage_is_unavailable(storage: PictureStorage) -> None:
    key = new_key("image/jpeg")
    await storage.put(key, b"data", "image/jpeg")
    await storage.close()
    with pytest.raises(StorageUnavailable):
        await storage.get(key)


async def test_without_a_setting_pictures_lie_in_the_data_directory_for_one_user_alone(tmp_path: Path) -> None:
    async with PictureStorage.from_settings(Settings(data_directory=tmp_path / "data")) as storage:
        key = new_key("image/jpeg")
        await storage.put(key, b"data", "image/jpeg")
    folder = tmp_path / "data" / "pictures"
    assert (folder / key).read_bytes() == b"data"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [key[3:]]


async def test_a_file_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    async with PictureStorage.from_settings(Settings(data_directory=tmp_path)) as storage:
        key = new_key("image/jpeg")
        await storage.put(key, b"data", "image/jpeg")
    file = tmp_path / "pictures" / key
    assert synced == [str(file), str(file.parent), str(file.parent.parent)]


async def test_the_bucket_has_the_prefix_and_the_media_type(s3_endpoint: str, aws: None) -> None:
    bucket = await asyncio.to_thread(create_bucket, s3_endpoint)
    settings = Settings(
        pictures_url=f"s3://{bucket}/of/all/", aws_endpoint_url_s3=s3_endpoint, aws_endpoint_url="http://not.this"
    )
    key = new_key("image/webp")
    async with PictureStorage.from_settings(settings) as storage:
        await storage.put(key, b"data", "image/webp")
    plain = S3Store(bucket, config={"endpoint": s3_endpoint}, client_options={"allow_http": True})
    found = await plain.get_async(f"of/all/{key}")
    assert bytes(await found.bytes_async()) == b"data"
    assert found.attributes["Content-Type"] == "image/webp"


async def test_plain_http_is_spoken_only_where_the_endpoint_says_so(aws: None) -> None:
    for endpoint, allowed in (("", "false"), ("https://127.0.0.1", "false"), ("http://127.0.0.1", "true")):
        store = open_store(Settings(pictures_url="s3://pictures", aws_endpoint_url=endpoint))
        assert isinstance(store, S3Store)
        assert str((store.client_options or {}).get("allow_http")) == allowed


def test_keys_are_random_and_tell_the_format_alone() -> None:
    keys = {new_key("image/jpeg") for _ in range(1000)}
    assert len(keys) == 1000
    assert all(key.endswith(".jpg") and key[:2] == key[3:5] and len(key) == 47 for key in keys)
    assert new_key("image/webp").endswith(".webp")
    with pytest.raises(KeyError):
        new_key("image/gif")


@pytest.mark.parametrize(
    "url",
    [
        "/pictures",
        "file:",
        "file:///",
        "file://host/pictures",
        "s3://",
        "s3:///pictures",
        "http://host/b",
        "s3://b?x=1",
    ],
)
def test_other_urls_are_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidSettings, match="PICTURES_URL"):
        PictureStorage.from_settings(Settings(pictures_url=url))
