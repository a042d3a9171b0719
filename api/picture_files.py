"""What requests about pictures have in common: the form of an upload, and the answer with a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import BodyPartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from api.call import Call
from api.conditional import is_known
from api.pictures.errors import PictureTooLarge, StorageUnavailable
from api.pictures.uploads import read_upload, store_picture, while_it_goes_on
from api.pictures.workers import Place
from api.problems import BadRequest, Invalid, TooLarge, TooSlow, WrongMediaType, name_errors
from shared.domain.pictures import NewPicture
from shared.postgres import DatabaseUnavailable

FIELD = "picture"

_FORM_BYTES = 64 * 1024
"""Bytes that a form may have in addition to the picture."""

# A picture never changes, but its listing may be hidden. For five minutes browsers and shared caches show it without
# asking, for example when somebody goes back and forth between cars: on a slow line each question takes half a second.
_FOR_ANYONE = "public, max-age=300"
_FOR_THIS_USER = "private, no-store"


async def picture_file(call: Call, key: str, content_type: str, name: str, is_for_anyone: bool) -> web.Response:
    """Returns a stored file. The caller has checked that the user may see it. Raises StorageUnavailable."""
    # Each key is written once, so it identifies these bytes.
    tag, _, extension = key.rpartition("/")[2].partition(".")
    headers: dict[str, str] = {
        hdrs.ETAG: f'"{tag}"',
        hdrs.CACHE_CONTROL: _FOR_ANYONE if is_for_anyone else _FOR_THIS_USER,
        hdrs.VARY: hdrs.AUTHORIZATION,
    }
    if is_known(call.request, headers[hdrs.ETAG]):
        return web.Response(status=304, headers=headers)
    data = await call.services.picture_storage.get(key)
    headers[hdrs.CONTENT_DISPOSITION] = f'inline; filename="{name}.{extension}"'
    headers[hdrs.CONTENT_TYPE] = content_type
    # Other sites may embed public pictures: whether a public address exists is no secret.
    headers["Cross-Origin-Resource-Policy"] = "cross-origin" if is_for_anyone else "same-site"
    return web.Response(body=data, headers=headers)


@asynccontextmanager
async def stored_picture(
    call: Call, data: bytes, place: Place, not_added: tuple[type[Exception], ...]
) -> AsyncIterator[NewPicture]:
    """Process a whole file and store it; the caller adds the row of the picture that this yields.

    After one of the exceptions `not_added` there is no row, so the files are deleted. Raises what `store_picture` does.
    """
    services = call.services
    pictures, storage, grace = services.pictures, services.picture_storage, services.settings.picture_grace_seconds
    stored = await store_picture(data, place, storage, lambda keys: pictures.expect(keys, grace))
    try:
        yield stored
    except not_added:
        # If deleting them fails here, they are deleted when their grace time is over.
        with suppress(StorageUnavailable, DatabaseUnavailable):
            await pictures.give_up(stored, storage.delete)
        raise


def check_form(call: Call) -> None:
    """Check what is known before the body is read. Raises PictureTooLarge or WrongMediaType."""
    request, limits = call.request, call.services.settings
    if request.content_type != "multipart/form-data":
        raise WrongMediaType(f"Send multipart/form-data with one field, {FIELD!r}.")
    if (request.content_length or 0) > limits.max_picture_bytes + _FORM_BYTES:
        raise PictureTooLarge(f"a picture may have at most {limits.max_picture_bytes} bytes")


async def uploaded(call: Call) -> bytes:
    """Returns the content of the form's only field.

    Raises PictureTooLarge, Invalid for other or missing fields, BadRequest for a broken form, TooSlow, TooLarge,
    PicturesBusy.
    """
    limits, workers = call.services.settings, call.services.picture_workers
    try:
        async with while_it_goes_on(
            limits.picture_still_seconds, limits.picture_patience_seconds, lambda: not workers.free
        ) as count:
            return await _field(call, limits.max_picture_bytes, count)
    except TimeoutError:
        raise TooSlow from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge from None
    except (ValueError, RuntimeError, AssertionError, HttpProcessingError, web.RequestPayloadError, ConnectionError):
        # aiohttp raises these for forms that are malformed or incomplete.
        raise BadRequest("The form cannot be read.") from None


async def _field(call: Call, max_bytes: int, count: Callable[[int], None]) -> bytes:
    form = await call.request.multipart()
    data: bytes | None = None
    errors: dict[str, list[str]] = {}
    while (part := await form.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise BadRequest("The form has a part without a name, or a nested form.")
        if part.name != FIELD:
            errors = name_errors([part.name], "Unknown field.")
        elif data is not None:
            errors[FIELD] = ["Given more than once."]
        else:
            data = await read_upload(part, max_bytes, count)
        if errors:
            break
    call.query()
    if data is None and not errors:
        errors[FIELD] = ["Missing."]
    if data is None or errors:
        raise Invalid(errors)
    return data
