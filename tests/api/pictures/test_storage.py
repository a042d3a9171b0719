"""The same tests for both kinds of picture storage, a local folder and an S3-compatible bucket."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from obstore.store import S3Store

from api.pictures.errors import PictureMissing, StorageUnavailable
from api.pictures.storage import PictureStorage, new_key, open_store
from shared.settings import InvalidSettings, Settings
from tests.api.pictures.conftest import MakeSettings, create_bucket
from tests.support.ports import free_port
from tests.support.silent import silent_server
from tests.support.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def storage(make_settings: MakeSettings) -> AsyncIterator[PictureStorage]:
    async with PictureStorage.from_settings(make_settings()) as opened:
        yield opened


async def test_a_stored_picture_is_read_back_unchanged(storage: PictureStorage) -> None:
    pictures = {new_key("image/jpeg"): b"\xff\xd8 one", new_key("image/webp"): bytes(range(256)) * 40_000}
    for key, data in pictures.items():
        await storage.put(key, data, "image/jpeg" if key.endswith("jpg") else "image/webp")
    assert {key: await storage.get(key) for key in pictures} == pictures


async def test_concurrent_writes_and_reads_do_not_mix(storage: PictureStorage) -> None:
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


async def test_deleting_removes_the_given_pictures_and_ignores_missing_ones(storage: PictureStorage) -> None:
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


async def test_a_malformed_key_is_refused_and_nothing_is_deleted(storage: PictureStorage) -> None:
    for key in (
        "",
        "../secret",
        "/etc/passwd",
        "ab/name.jpg",
        new_key("image/jpeg") + "/..",
        new_key("image/jpeg")[3:],
    ):
        with pytest.raises(ValueError, match="not the key"):
            await storage.put(key, b"data", "image/jpeg")
        with pytest.raises(ValueError, match="not the key"):
            await storage.get(key)
        with pytest.raises(ValueError, match="not the key"):
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


def test_a_folder_that_cannot_be_created_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_bytes(b"")
    with pytest.raises(InvalidSettings, match=r"^DATA_DIRECTORY: "):
        PictureStorage.from_settings(Settings(data_directory=tmp_path))


async def test_a_folder_that_disappears_is_unavailable_and_not_empty(tmp_path: Path) -> None:
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
    async with PictureStorage.from_settings(settings) as storage, asyncio.timeout(PATIENCE_SECONDS):
        await expect_unavailable(storage)


async def test_a_server_that_hangs_is_unavailable_after_the_timeout(aws: None) -> None:
    with silent_server() as port:
        settings = Settings(
            pictures_url="s3://pictures",
            aws_endpoint_url=f"http://127.0.0.1:{port}",
            pictures_timeout_seconds=0.3,
        )
        async with PictureStorage.from_settings(settings) as storage, asyncio.timeout(PATIENCE_SECONDS):
            await expect_unavailable(storage)


async def test_a_closed_storage_is_unavailable(storage: PictureStorage) -> None:
    key = new_key("image/jpeg")
    await storage.put(key, b"data", "image/jpeg")
    await storage.close()
    with pytest.raises(StorageUnavailable):
        await storage.get(key)


async def test_by_default_pictures_are_in_the_data_directory_readable_by_its_user_only(tmp_path: Path) -> None:
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


@pytest.mark.servers
async def test_deleting_a_key_removes_the_partial_file_of_a_killed_writer(tmp_path: Path) -> None:
    key = new_key("image/jpeg")
    writing = """import sys; from obstore.store import LocalStore
LocalStore(sys.argv[1]).put(sys.argv[2], bytes(400_000_000), use_multipart=False)"""
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", writing, str(tmp_path), key)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (left := [path for path in tmp_path.rglob("*") if path.is_file()]):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    finally:
        writer.kill()
        await writer.wait()
    assert [path.name for path in left] == [f"{Path(key).name}#1"]
    other = tmp_path / f"{key[:2]}/{'0' * 40}.jpg#1"
    other.touch()
    async with PictureStorage.from_settings(Settings(pictures_url=tmp_path.as_uri())) as storage:
        await storage.delete([key])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]


async def test_an_object_in_a_bucket_has_the_prefix_and_the_media_type(s3_endpoint: str, aws: None) -> None:
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


async def test_an_empty_endpoint_variable_counts_as_absent(
    s3_endpoint: str, aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    bucket = await asyncio.to_thread(create_bucket, s3_endpoint)
    settings = Settings(pictures_url=f"s3://{bucket}", aws_endpoint_url=s3_endpoint)
    async with PictureStorage.from_settings(settings) as storage:
        key = new_key("image/jpeg")
        await storage.put(key, b"data", "image/jpeg")
        assert await storage.get(key) == b"data"


async def test_plain_http_is_used_only_for_an_http_endpoint(aws: None) -> None:
    for endpoint, allowed in (("", "false"), ("https://127.0.0.1", "false"), ("http://127.0.0.1", "true")):
        store = open_store(Settings(pictures_url="s3://pictures", aws_endpoint_url=endpoint))
        assert isinstance(store, S3Store)
        assert str((store.client_options or {}).get("allow_http")) == allowed


def test_keys_are_random_and_show_only_the_format() -> None:
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
def test_an_unusable_url_is_refused_with_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(InvalidSettings, match="PICTURES_URL"):
        PictureStorage.from_settings(Settings(pictures_url=url))
