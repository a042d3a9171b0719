"""The trash: moderators list it and restore from it; admins delete single listings permanently."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from api.answers import Json, Page
from api.call import Call
from api.handlers.listings import UNKNOWN_CATEGORY
from api.listing_changes import announce_and_read
from api.pagination import decode_cursor, page
from api.problems import Invalid
from api.schemas import answers
from api.schemas.pages import PageQuery
from api.schemas.trash import RestoreBody
from shared.domain.ids import MAX_ID
from shared.domain.listings import CategoryNotFound
from shared.domain.mails import MailKind
from shared.repositories.trash import TrashedListing

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


async def find(call: Call) -> Page[answers.TrashedListing]:
    """The listings in the trash, latest first."""
    query = call.query(PageQuery)
    before = decode_cursor(query.cursor, tuple[datetime, int]) or (_END_OF_TIME, MAX_ID)
    trashed = await call.services.trash.find(before=before, limit=query.limit + 1)
    return page(trashed, query.limit, _payload, lambda one: (one.at, one.id))


_SHOWN_AGAIN = {"is_hidden": False, "reason": None, "until": None}
"""The facts of a mail about a listing that a moderator has put on show again."""


async def restore(call: Call) -> Json[answers.Listing]:
    """Take a listing out of the trash."""
    listing_id, services = call.path_id(), call.services
    try:
        await services.trash.require(listing_id)
        body = await call.optional_body(RestoreBody)
        async with services.database.transaction() as transaction:
            within, by = services.within(transaction), call.user.user_id
            await within.trash.restore(listing_id, body.category_id, by=by)
            await within.outbox.add_to_seller(MailKind.MODERATED, listing_id, _SHOWN_AGAIN, by=by)
    except CategoryNotFound:
        raise Invalid(UNKNOWN_CATEGORY) from None
    return Json(await announce_and_read(services, listing_id, call.user))


async def delete(call: Call) -> None:
    """Delete a listing permanently, with its pictures and replies."""
    listing_id, services = call.path_id(), call.services
    await services.trash.require(listing_id)
    call.query()
    await services.trash.delete(listing_id, by=call.user.user_id)
    services.abandoned_files.wake()


def _payload(trashed: TrashedListing) -> Any:
    why = msgspec.json.encode(answers.trashing(trashed)).decode()
    return msgspec.Raw(f'{trashed.json[:-1]},"trashed":{why}}}'.encode())
