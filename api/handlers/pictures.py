"""Pictures of a listing: its editors upload them, and whoever may see the listing may see them."""

from __future__ import annotations

from aiohttp import web

from api.answers import Json
from api.call import Call
from api.handlers.trash import only_own
from api.listing_changes import announce, announce_and_read
from api.picture_files import check_form, picture_file, stored_picture, uploaded
from api.pictures.workers import Place
from api.repeats import begin, once
from api.schemas.answers import listings as listing_answers
from api.schemas.answers import pictures as picture_answers
from api.schemas.pictures import PictureOrderBody
from api.services import Services
from api.versions import as_seen
from shared.access.policy import Action
from shared.domain.listings import ListingNotFound
from shared.domain.pictures import ListingIsFull, Picture, PictureNotFound
from shared.domain.repeats import KeyInUse, KeyReused, Repeated
from shared.domain.uploads import CompletedUpload, Upload, UploadNotFound
from shared.domain.users import NoLongerAllowed

_NOT_ADDED = (
    *(ListingIsFull, PictureNotFound, NoLongerAllowed),
    *(Repeated, KeyReused, KeyInUse),
    *(UploadNotFound, CompletedUpload),
)
"""After these there is no row of the new picture."""


async def add(call: Call) -> picture_answers.Picture:
    """Add a picture to a listing.

    The content may be JPEG, PNG, WebP, GIF (its first frame), HEIC or AVIF, whatever its name says. It is turned as
    browsers turn it, made smaller if it is large, and stored without metadata, as JPEG or, with transparency, as WebP.
    Its smaller `sizes` are WebP.
    """
    listing, services = await call.listing(), call.services
    call.require(Action.PICTURE_CHANGE, owner_id=listing.seller_id)
    check_form(call)
    await services.rate_limits.picture_of(call.user.user_id)
    # Take a place before reading the body, so that a refused upload costs no memory.
    with services.picture_workers.place(call.user.user_id) as place:
        answer = await _add(call, place)
    await announce(services, listing.id)
    return answer


async def _add(call: Call, place: Place) -> picture_answers.Picture:
    services = call.services
    data = await uploaded(call)
    # A browser sends the same form with another boundary each time, so the file alone tells repeats.
    await begin(call, data)
    # The upload may have taken minutes: check again what the user may change. The token was good when it began.
    call.actor = await services.admission.readmit(call.user)
    listing = await call.listing()
    call.require(Action.PICTURE_CHANGE, owner_id=listing.seller_id)
    return await store_and_add(call, listing.id, listing.seller_id, data, place)


async def store_and_add(
    call: Call, listing_id: int, owner_id: int, data: bytes, place: Place, upload: Upload | None = None
) -> picture_answers.Picture:
    """Make a picture of a whole file, and finish the upload in whose parts it arrived, if there is one.

    Raises what `stored_picture`, `once`, `PictureRepository.add` and `UploadRepository.hold` raise.
    """
    services, by = call.services, call.user.user_id
    async with stored_picture(call, data, place, _NOT_ADDED) as stored:
        if upload is None:
            async with once(call) as within:
                added = await within.services.pictures.add(listing_id, stored, by=by, owner_id=owner_id)
                return await within.keep(picture_answers.picture(added))
        async with services.database.transaction() as transaction:
            inside = services.within(transaction)
            await inside.uploads.hold(upload, owner_id=owner_id)
            added = await inside.pictures.add(listing_id, stored, by=by, owner_id=owner_id)
            await inside.uploads.finish(upload.id, added.id)
            return picture_answers.picture(added)


async def delete(call: Call) -> None:
    """Remove a picture."""
    listing, services = await call.listing(), call.services
    picture_id = call.path_id("picture_id")
    picture = await services.pictures.by_id(picture_id)
    if picture.listing_id != listing.id:
        raise PictureNotFound
    call.require(Action.PICTURE_CHANGE, owner_id=listing.seller_id)
    call.query()
    await services.pictures.remove(picture, by=call.user.user_id, owner_id=listing.seller_id)
    services.abandoned_files.wake()
    await announce(services, listing.id)


async def arrange(call: Call) -> Json[listing_answers.Listing]:
    """Put a listing's pictures in order.

    The pictures that are named come first, in this order; the others follow, in the order that they had. The first of
    all is the cover, in lists and previews too.
    """
    listing, services = await call.listing(), call.services
    call.require(Action.PICTURE_CHANGE, owner_id=listing.seller_id)
    body = await call.body(PictureOrderBody)

    async def as_shown(within: Services) -> Json[listing_answers.Listing]:
        return Json(await within.listings.read(listing.id, call.actor))

    async with as_seen(call, "listings", listing.id, as_shown) as within:
        await within.pictures.arrange(listing.id, body.pictures, by=call.user.user_id, owner_id=listing.seller_id)
    return Json(await announce_and_read(services, listing.id, call.user))


async def read(call: Call) -> web.Response:
    """A picture."""
    picture, is_for_anyone = await _visible(call)
    return await picture_file(call, picture.key, picture.content_type, f"picture-{picture.id}", is_for_anyone)


async def medium(call: Call) -> web.Response:
    """A picture in its medium size, if it has one."""
    picture, is_for_anyone = await _visible(call)
    if picture.medium_key is None or picture.medium_content_type is None:
        raise PictureNotFound
    return await picture_file(
        call, picture.medium_key, picture.medium_content_type, f"medium-{picture.id}", is_for_anyone
    )


async def thumbnail(call: Call) -> web.Response:
    """A picture's thumbnail."""
    picture, is_for_anyone = await _visible(call)
    name = f"thumbnail-{picture.id}"
    return await picture_file(call, picture.thumbnail_key, picture.thumbnail_content_type, name, is_for_anyone)


async def _visible(call: Call) -> tuple[Picture, bool]:
    """Returns the picture, and whether visitors may see it too."""
    picture = await call.services.pictures.by_id(call.path_id())
    try:
        is_for_anyone = (await call.listing(picture.listing_id)).is_for_anyone
    except ListingNotFound:
        # Whoever sees the listing in the trash sees its pictures.
        if call.actor is None:
            raise
        only_of = only_own(call, Action.TRASH_READ)
        await call.services.trash.require(picture.listing_id, only_of=only_of)
        is_for_anyone = False
    call.query()
    return picture, is_for_anyone
