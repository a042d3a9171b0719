"""Pictures of private messages: uploaded before the message is sent, and seen by its two sides only."""

from __future__ import annotations

from aiohttp import web

from api.call import Call
from api.picture_files import check_form, picture_file, stored_picture, uploaded
from api.repeats import begin, once
from shared.access.policy import Action, may
from shared.domain.messages import TooManyUnsentPictures
from shared.domain.pictures import FilesGivenUp, MessagePicture, PictureNotFound
from shared.domain.repeats import KeyInUse, KeyReused, Repeated
from shared.domain.users import NoLongerAllowed
from shared.events.messages import MessagePicture as Shown
from shared.events.messages import picture_payload

_NOT_ADDED = (TooManyUnsentPictures, FilesGivenUp, NoLongerAllowed, Repeated, KeyReused, KeyInUse)
"""After these there is no row of the new picture."""


async def add(call: Call) -> Shown:
    """Upload a picture for a private message. Send its id with the message within a day.

    It is taken and stored as a picture of a listing is. Until it is sent, only you can see it.
    """
    services = call.services
    check_form(call)
    await services.rate_limits.picture_of(call.user.user_id)
    # Take a place before reading the body, so that a refused upload costs no memory.
    with services.picture_workers.place(call.user.user_id) as place:
        data = await uploaded(call)
        await begin(call, data)
        # The upload may have taken minutes. The token was good when it began.
        call.actor = await services.admission.readmit(call.user)
        async with stored_picture(call, data, place, _NOT_ADDED) as stored, once(call) as within:
            added = await within.services.message_pictures.add(stored, by=call.user.user_id)
            return await within.keep(picture_payload(added))


async def discard(call: Call) -> None:
    """Delete a picture that you uploaded and did not send."""
    picture_id = call.path_id()
    call.query()
    await call.services.message_pictures.discard(picture_id, by=call.user.user_id)
    call.services.abandoned_files.wake()


async def read(call: Call) -> web.Response:
    """A picture of one of your messages.

    Moderators see it too if its message was reported, or waits for their decision; the audit log says so.
    """
    picture = await _visible(call)
    return await picture_file(call, picture.key, picture.content_type, f"picture-{picture.id}", is_for_anyone=False)


async def medium(call: Call) -> web.Response:
    """A picture of one of your messages in its medium size."""
    picture = await _visible(call)
    name = f"medium-{picture.id}"
    return await picture_file(call, picture.medium_key, picture.medium_content_type, name, is_for_anyone=False)


async def thumbnail(call: Call) -> web.Response:
    """The thumbnail of a picture of one of your messages."""
    picture = await _visible(call)
    name = f"thumbnail-{picture.id}"
    return await picture_file(call, picture.thumbnail_key, picture.thumbnail_content_type, name, is_for_anyone=False)


async def _visible(call: Call) -> MessagePicture:
    user_id, pictures = call.user.user_id, call.services.message_pictures
    found = await pictures.find(call.path_id(), for_user=user_id)
    is_before_moderators = found.report_id is not None or found.hold_id is not None
    if not found.is_of_side and not (is_before_moderators and may(Action.REPORT_READ, call.actor, owner_id=None)):
        raise PictureNotFound
    call.query()
    if not found.is_of_side:
        await pictures.note_look(found, by=user_id)
    return found.picture
