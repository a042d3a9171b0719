"""Uploads of pictures that go on after a lost connection (draft-ietf-httpbis-resumable-upload).

The client says how long the file is, sends as much of it as the line lets through, asks how much has arrived, and sends
the rest. `pictures.add` takes a whole file in one request.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime

from aiohttp import hdrs, web

from api.answers import encoded
from api.call import Call
from api.handlers.pictures import store_and_add
from api.listing_changes import announce
from api.pictures.errors import PictureRefused, PictureTooLarge
from api.pictures.receiving import CUT_OFF, receive
from api.pictures.storage import PART, new_key
from api.pictures.uploads import while_it_goes_on
from api.problems import BadRequest, TooSlow, WrongMediaType, problem_of
from api.repeats import begin, once
from api.schemas.answers import pictures as answers
from api.services import Services
from shared.access.policy import Action
from shared.domain.pictures import ListingIsFull, Picture, PictureNotFound
from shared.domain.uploads import (
    LEAST_APPENDED,
    PARTIAL,
    CompletedUpload,
    InconsistentLength,
    MismatchingOffset,
    Upload,
)
from shared.postgres import DatabaseUnavailable

LENGTH, OFFSET, COMPLETE, LIMIT = "Upload-Length", "Upload-Offset", "Upload-Complete", "Upload-Limit"

_INTEGER = re.compile(r"[0-9]{1,15}")
_BOOLEAN = re.compile(r"\?[01]")
_AT_ONCE = 8
"""Parts that are read from the storage at the same time."""


async def create(call: Call) -> web.Response:
    """Begin an upload of a picture that can go on after a lost connection.

    It follows draft-ietf-httpbis-resumable-upload: `Upload-Length` says how many bytes the file has, and
    `Upload-Complete: ?0` that they follow, with PATCH. The upload ends when its time is over, and before that if its
    user begins more of them than are kept.
    """
    listing, services = await call.listing(), call.services
    call.require(Action.PICTURE_CHANGE, owner_id=listing.seller_id)
    call.query()
    length = _length(call)
    await begin(call, str(length).encode())
    await services.rate_limits.picture_of(call.user.user_id)
    settings = services.settings
    async with once(call) as within:
        upload = await within.services.uploads.begin(
            call.user.user_id,
            listing.id,
            length,
            owner_id=listing.seller_id,
            seconds=settings.unfinished_upload_seconds,
            max_bytes=settings.max_unfinished_upload_bytes,
        )
        answer = await within.keep(answers.upload(upload, None))
    headers = {hdrs.LOCATION: answer.url, **_state(upload, services)}
    return web.Response(body=encoded(answer), status=201, headers=headers, content_type="application/json")


async def read(call: Call) -> web.Response:
    """How much of an upload has arrived, and the picture that was made of it."""
    upload = await _own(call)
    call.query()
    picture: Picture | None = None
    if upload.picture_id is not None:
        with suppress(PictureNotFound):
            picture = await call.services.pictures.by_id(upload.picture_id)
    answer = answers.upload(upload, picture)
    headers = _state(upload, call.services)
    return web.Response(body=encoded(answer), headers=headers, content_type="application/json")


async def append(call: Call) -> web.Response:
    """Send the next bytes of an upload, from `Upload-Offset` on.

    With `Upload-Complete: ?1` they are the last ones, and the answer is that of `POST /api/listings/{id}/pictures`;
    such a request may also have no content, if all bytes have arrived. Otherwise the answer is 204. What arrives before
    a connection is lost is kept.
    """
    upload, services = await _own(call), call.services
    call.query()
    if call.request.content_type != PARTIAL:
        raise WrongMediaType(f"Send {PARTIAL}.")
    is_last = _check_part(call, upload)
    with services.receiving.place(call.user.user_id):
        offset = await _receive(call, upload, is_last)
    if not is_last:
        return web.Response(status=204, headers={OFFSET: str(offset), COMPLETE: "?0"})
    added = await _finish(call, upload, offset)
    services.abandoned_files.wake()
    await announce(services, upload.listing_id)
    headers = {OFFSET: str(offset), COMPLETE: "?1"}
    return web.Response(body=encoded(added), status=201, headers=headers, content_type="application/json")


async def end(call: Call) -> None:
    """Give up an upload: what has arrived of it is deleted."""
    upload = await _own(call)
    call.query()
    await call.services.uploads.end(upload.id)
    call.services.abandoned_files.wake()


async def _own(call: Call) -> Upload:
    """Returns the path's upload. Raises UploadNotFound also if it is another's, or its listing may not be seen now."""
    upload = await call.services.uploads.of(call.path_id(), call.user.user_id)
    await _check_listing(call, upload)
    return upload


async def _check_listing(call: Call, upload: Upload) -> int:
    """Returns the id of the listing's seller. Raises ListingNotFound or Forbidden."""
    listing = await call.listing(upload.listing_id)
    call.require(Action.PICTURE_CHANGE, owner_id=listing.seller_id)
    return listing.seller_id


def _state(upload: Upload, services: Services) -> dict[str, str]:
    """Returns the headers that say where the upload is."""
    left = max(0, int((upload.expires_at - datetime.now(UTC)).total_seconds()))
    most = services.settings.max_picture_bytes
    return {
        OFFSET: str(upload.offset),
        COMPLETE: "?1" if upload.is_complete else "?0",
        LENGTH: str(upload.length),
        LIMIT: f"max-size={most}, min-append-size={LEAST_APPENDED}, max-age={left}",
    }


def _integer(call: Call, name: str) -> int:
    found = _INTEGER.fullmatch(call.request.headers.get(name, "").strip())
    if found is None or len(call.request.headers.getall(name)) > 1:
        raise BadRequest(f"{name}: send one number of bytes.")
    return int(found[0])


def _is_complete(call: Call) -> bool:
    found = _BOOLEAN.fullmatch(call.request.headers.get(COMPLETE, "").strip())
    if found is None or len(call.request.headers.getall(COMPLETE)) > 1:
        raise BadRequest(f"{COMPLETE}: send ?0 or ?1.")
    return found[0] == "?1"


def _length(call: Call) -> int:
    """Returns the length of a new upload. Raises BadRequest or PictureTooLarge."""
    length, most = _integer(call, LENGTH), call.services.settings.max_picture_bytes
    if _is_complete(call) or call.request.body_exists:
        raise BadRequest(f"Send no content yet, and {COMPLETE}: ?0.")
    if not length:
        raise BadRequest(f"{LENGTH}: an empty file is no picture.")
    if length > most:
        raise PictureTooLarge(f"a picture may have at most {most} bytes")
    return length


def _check_part(call: Call, upload: Upload) -> bool:
    """Check what is known before the body is read. Returns whether this is the last part.

    Raises BadRequest, CompletedUpload, MismatchingOffset, InconsistentLength.
    """
    offset, is_last, size = _integer(call, OFFSET), _is_complete(call), call.request.content_length
    if not call.request.body_exists:
        size = 0
    if upload.is_complete:
        raise InconsistentLength if size != 0 else CompletedUpload
    if offset != upload.offset:
        raise MismatchingOffset(upload.offset)
    if size is None or hdrs.CONTENT_ENCODING in call.request.headers:
        return is_last
    left = upload.length - offset
    if size > left or (is_last and size < left):
        raise InconsistentLength
    if not is_last and size < min(LEAST_APPENDED, left):
        raise BadRequest(f"Append at least {LEAST_APPENDED} bytes.")
    return is_last


async def _receive(call: Call, upload: Upload, is_last: bool) -> int:
    """Store the bytes that arrive. Returns the new offset.

    Raises TooSlow, BadRequest, InconsistentLength, MismatchingOffset, CompletedUpload, UploadNotFound, FilesGivenUp,
    StorageUnavailable, PicturesBusy.
    """
    services, settings, offset = call.services, call.services.settings, upload.offset

    async def store(data: bytes) -> None:
        nonlocal offset
        key = new_key(PART)
        await services.pictures.expect([key], settings.picture_grace_seconds)
        await services.picture_storage.put(key, data, PART)
        offset = await services.uploads.append(upload.id, offset, key, len(data))

    goes_on = while_it_goes_on(
        settings.picture_still_seconds, settings.picture_patience_seconds, lambda: services.receiving.is_full
    )
    try:
        size = await receive(call.request.content, upload.length - offset, store, goes_on)
    except TimeoutError:
        raise TooSlow from None
    except CUT_OFF:
        raise BadRequest("The body cannot be read.") from None
    if is_last and offset < upload.length:
        raise InconsistentLength
    if not is_last and size < LEAST_APPENDED and offset < upload.length:
        raise BadRequest(f"Append at least {LEAST_APPENDED} bytes.")
    return offset


async def _finish(call: Call, upload: Upload, offset: int) -> answers.Picture:
    """Make the picture of a file that has arrived.

    If that is not possible now, the file stays, and the client completes the upload later. A file that is no picture is
    deleted.
    """
    services, storage = call.services, call.services.picture_storage
    try:
        with services.picture_workers.place(call.user.user_id) as place:
            # The upload may have taken minutes.
            call.actor = await services.admission.readmit(call.user)
            owner_id = await _check_listing(call, upload)
            keys = await services.uploads.keys(upload.id)
            parts: list[bytes] = []
            for first in range(0, len(keys), _AT_ONCE):
                parts += await asyncio.gather(*(storage.get(key) for key in keys[first : first + _AT_ONCE]))
            data = b"".join(parts)
            if len(data) != offset:
                # Somebody else has finished it since.
                raise CompletedUpload
            return await store_and_add(call, upload.listing_id, owner_id, data, place, upload)
    except (PictureRefused, ListingIsFull, PictureNotFound) as error:
        with suppress(DatabaseUnavailable):
            await services.uploads.end(upload.id)
        services.abandoned_files.wake()
        problem = problem_of(error)
        assert problem is not None
        problem.headers[COMPLETE] = "?1"
        raise problem from None
