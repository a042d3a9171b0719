"""The trash: people restore what they deleted themselves, moderators everything; admins delete permanently."""

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
from api.schemas.answers import listings as answers
from api.schemas.trash import RestoreBody, TrashQuery
from shared.access.policy import Action, may
from shared.domain.ids import MAX_ID
from shared.domain.listings import CategoryNotFound
from shared.domain.mails import MailKind
from shared.repositories.trash import TrashedListing

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


async def find(call: Call) -> Page[answers.TrashedListing]:
    """The listings in the trash, latest first.

    Moderators see all of them, and with `own=true` only those that they can restore as sellers. Other people see the
    listings that they deleted themselves, for 30 days; a setting changes this time.
    """
    query = call.query(TrashQuery)
    before = decode_cursor(query.cursor, tuple[datetime, int]) or (_END_OF_TIME, MAX_ID)
    only_of = call.user.user_id if query.own else only_own(call, Action.TRASH_READ)
    trashed = await call.services.trash.find(before=before, limit=query.limit + 1, only_of=only_of)
    return page(trashed, query.limit, _payload, lambda one: (one.at, one.id))


_SHOWN_AGAIN = {"is_hidden": False, "reason": None, "until": None}
"""The facts of a mail about a listing that a moderator has put on show again."""


async def restore(call: Call) -> Json[answers.Listing]:
    """Take a listing out of the trash.

    Moderators can do this with every listing, but not with one of their own that another one has deleted; other people
    with what they deleted themselves, as long as `GET /api/trash` has it.
    """
    listing_id, services, only_of = call.path_id(), call.services, only_own(call, Action.TRASH_RESTORE)
    try:
        await services.trash.require(listing_id, only_of=only_of)
        if only_of is not None:
            call.require_confirmed()
        body = await call.optional_body(RestoreBody)
        async with services.database.transaction() as transaction:
            within, by = services.within(transaction), call.user.user_id
            await within.trash.restore(listing_id, body.category_id, by=by, only_of=only_of)
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


def only_own(call: Call, action: Action) -> int | None:
    """Returns the user if they may do this only to their own listings; None if to all."""
    return None if may(action, call.user, owner_id=None) else call.user.user_id


def _payload(trashed: TrashedListing) -> Any:
    why = msgspec.json.encode(answers.trashing(trashed)).decode()
    return msgspec.Raw(f'{trashed.json[:-1]},"trashed":{why}}}'.encode())
