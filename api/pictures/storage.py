"""Stores the files of pictures in a local folder or an S3-compatible bucket; a setting decides which.

This module knows keys and bytes. The database knows which picture a key belongs to, and who may see it.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from api.pictures.errors import PictureMissing, StorageUnavailable
from shared.folders import make_folder, why
from shared.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import obstore

Result = TypeVar("Result")

PART = "application/octet-stream"
"""The media type of a part of a file that is still arriving."""

_EXTENSIONS = {"image/jpeg": "jpg", "image/webp": "webp", PART: "part"}
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{40}\.(?:jpg|webp|part)")


def new_key(content_type: str) -> str:
    """Returns a random key that nobody can guess. Its first part is a folder, which keeps local folders small.

    Each key is written once, so its bytes never change, and the key is also their strong ETag (RFC 9110, 8.8.3).
    """
    name = secrets.token_hex(20)
    return f"{name[:2]}/{name}.{_EXTENSIONS[content_type]}"


class PictureStorage:
    """An asynchronous context manager. Any number of nodes may share the folder or bucket.

    `put` is atomic: a key has either no file or a complete one. Every method raises StorageUnavailable if the storage
    cannot be reached, refuses, or takes longer than the settings allow. They raise ValueError for keys that are not
    made by `new_key`.
    """

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store: LocalStore | S3Store | None = store

    @classmethod
    def from_settings(cls, settings: Settings) -> PictureStorage:
        """Returns the storage at `pictures_url`: `file:///folder`, or `s3://bucket/prefix`.

        For S3 the usual AWS_* variables apply; AWS_ENDPOINT_URL names an S3-compatible server. Plain HTTP is used only
        if that URL begins with `http://`.
        Raises InvalidSettings. Makes no request yet.
        """
        return cls(open_store(settings))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Later requests raise StorageUnavailable."""
        self._store = None

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store a file. On return, the whole file survives a power cut."""
        store = self._open(key)
        # Local files cannot hold a media type, and obstore raises instead of dropping it.
        attributes = {"Content-Type": content_type} if isinstance(store, S3Store) else None
        try:
            await _answer(store.put_async(key, data, attributes=attributes, use_multipart=False))
            if isinstance(store, LocalStore) and store.prefix is not None:
                # A bucket answers when the file is durable; a local file has to be synced.
                await _answer(asyncio.to_thread(_sync, store.prefix / key))
        except FileNotFoundError as error:
            raise StorageUnavailable("the folder or bucket is missing") from error

    async def get(self, key: str) -> bytes:
        """Returns the whole file: `processing` makes files of at most a few megabytes. Raises PictureMissing."""
        store = self._open(key)
        try:
            return bytes(await _answer(_read(store, key)))
        except FileNotFoundError as error:
            raise PictureMissing(key) from error

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete files. On return, none of them is left, not even in part. Missing files are no error."""
        if not keys:
            return
        store = self._open(*keys)
        try:
            await _answer(store.delete_async(list(keys)))
        except FileNotFoundError:
            # In a folder, deleting several keys in one call stops at the first missing file.
            for key in keys:
                try:
                    await _answer(store.delete_async(key))
                except FileNotFoundError:
                    continue
        if isinstance(store, LocalStore) and store.prefix is not None:
            await _answer(asyncio.to_thread(_remove_begun, store.prefix, keys))

    def _open(self, *keys: str) -> LocalStore | S3Store:
        for key in keys:
            if not _KEY.fullmatch(key):
                raise ValueError(f"not the key of a picture: {key!r}")
        if self._store is None:
            raise StorageUnavailable("the storage is closed")
        return self._store


async def _read(store: LocalStore | S3Store, key: str) -> obstore.Bytes:
    return await (await store.get_async(key)).bytes_async()


async def _answer(request: Awaitable[Result]) -> Result:
    """Returns the storage's answer. Raises FileNotFoundError if the key has no file, else StorageUnavailable."""
    try:
        return await request
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StorageUnavailable("the bucket is missing") from error
        raise
    except (BaseError, OSError, ValueError) as error:
        raise StorageUnavailable(f"the storage answers {type(error).__name__}") from error


def _remove_begun(folder: Path, keys: Sequence[str]) -> None:
    """Remove partial files of a process that died while writing: obstore writes `KEY#1`, then renames it."""
    for key in keys:
        for begun in (folder / key).parent.glob(f"{(folder / key).name}#*"):
            begun.unlink(missing_ok=True)


def _sync(file: Path) -> None:
    """Make a file survive a power cut: its bytes, its name, and the name of its folder."""
    for path in (file, file.parent, file.parent.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_store(settings: Settings) -> LocalStore | S3Store:
    """Returns the folder, which is made if it is missing, or the bucket. Raises InvalidSettings."""
    if not settings.pictures_url:
        return _folder(settings.data_directory.absolute() / "pictures", "DATA_DIRECTORY")
    try:
        parts = urlsplit(settings.pictures_url)
    except ValueError:
        raise InvalidSettings("PICTURES_URL: is not a URL") from None
    if parts.query or parts.fragment:
        raise InvalidSettings("PICTURES_URL: must not have a query or fragment")
    match parts.scheme:
        case "file" if parts.netloc in ("", "localhost") and parts.path.strip("/"):
            return _folder(Path(unquote(parts.path)), "PICTURES_URL")
        case "s3" if parts.netloc:
            return _bucket(parts.netloc, parts.path.strip("/"), settings)
    raise InvalidSettings("PICTURES_URL: must be file:///folder or s3://bucket/prefix")


def _folder(path: Path, setting: str) -> LocalStore:
    try:
        # The folder has pictures of private listings, so only this system user may enter it.
        make_folder(path, 0o700)
        return LocalStore(path)
    except OSError as error:
        raise InvalidSettings(f"{setting}: the folder {path} cannot be used: {why(error)}") from error
    except (BaseError, ValueError) as error:
        raise InvalidSettings(f"{setting}: the folder {path} cannot be used: {type(error).__name__}") from error


def _config(settings: Settings, endpoint: str) -> obstore.store.S3Config:
    """Returns the options that take precedence over the environment, which obstore also reads.

    They are needed because a variable of the environment may be empty, or its value may come from a file.
    """
    given: obstore.store.S3Config = {}
    if endpoint:
        given["aws_endpoint_url_s3"] = endpoint
    if settings.aws_access_key_id:
        given["access_key_id"] = settings.aws_access_key_id
    if settings.aws_secret_access_key:
        given["secret_access_key"] = settings.aws_secret_access_key
    return given


def _bucket(bucket: str, prefix: str, settings: Settings) -> S3Store:
    timeout = timedelta(seconds=settings.pictures_timeout_seconds)
    endpoint = settings.aws_endpoint_url_s3 or settings.aws_endpoint_url
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=_config(settings, endpoint),
            client_options={
                "allow_http": endpoint.lower().startswith("http://"),
                "timeout": timeout,
                "connect_timeout": timeout,
            },
            retry_config={"max_retries": 2, "retry_timeout": timeout},
        )
    except (BaseError, OSError, ValueError) as error:
        raise InvalidSettings(f"PICTURES_URL: the bucket {bucket} cannot be used: {type(error).__name__}") from error
