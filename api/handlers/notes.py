"""Notes between moderators about a person or a listing.

To a moderator, notes about themselves and their listings do not exist: they may tell who has reported them.
"""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.repeats import once
from api.schemas.answers import sanctions as answers
from api.schemas.pages import PageQuery
from api.schemas.sanctions import NoteBody
from shared.access.policy import Action
from shared.domain.ids import MAX_ID


async def about_user(call: Call) -> Page[answers.Note]:
    """The notes about a user, latest first."""
    user = await call.services.users.public(call.path_id())
    return await _find(call, user.id, user_id=user.id)


async def about_listing(call: Call) -> Page[answers.Note]:
    """The notes about a listing, latest first."""
    listing = await call.listing()
    return await _find(call, listing.seller_id, listing_id=listing.id)


async def add_about_user(call: Call) -> answers.Note:
    """Write a note about a user. The user gets it in the copy of their data, without your name."""
    user = await call.services.users.public(call.path_id())
    return await _add(call, user_id=user.id)


async def add_about_listing(call: Call) -> answers.Note:
    """Write a note about a listing. Its seller gets it in the copy of their data, without your name."""
    return await _add(call, listing_id=(await call.listing()).id)


async def delete(call: Call) -> None:
    """Delete a note of yours; an admin can delete any."""
    note = await call.services.notes.by_id(call.path_id(), by=call.user.user_id)
    call.require(Action.NOTE_DELETE, owner_id=note.author_id)
    call.query()
    await call.services.notes.delete(note, by=call.user.user_id)


async def _find(
    call: Call, about: int, *, user_id: int | None = None, listing_id: int | None = None
) -> Page[answers.Note]:
    query = call.query(PageQuery)
    before_id = decode_cursor(query.cursor, int) or MAX_ID
    notes, found = call.services.notes, []
    if about != call.user.user_id:
        found = await notes.about(user_id=user_id, listing_id=listing_id, before_id=before_id, limit=query.limit + 1)
    return page(found, query.limit, answers.note, lambda note: note.id)


async def _add(call: Call, *, user_id: int | None = None, listing_id: int | None = None) -> answers.Note:
    body = await call.body(NoteBody)
    async with once(call) as within:
        notes = within.services.notes
        note = await notes.add(body.text, by=call.user.user_id, user_id=user_id, listing_id=listing_id)
        return await within.keep(answers.note(note))
