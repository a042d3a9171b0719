"""What the site has noticed by itself: moderators read it, and say when they have dealt with it."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas.answers import moderation as answers
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID


async def find(call: Call) -> Page[answers.Finding]:
    """Listings with the picture or the VIN of somebody else's listing, latest first."""
    query = call.query(PageQuery)
    before_id = decode_cursor(query.cursor, int) or MAX_ID
    found = await call.services.findings.open(before_id=before_id, limit=query.limit + 1, by=call.user.user_id)
    return page(found, query.limit, answers.finding, lambda one: one.id)


async def resolve(call: Call) -> answers.Finding:
    """Say that a finding was dealt with."""
    finding_id, findings, by = call.path_id(), call.services.findings, call.user.user_id
    await findings.by_id(finding_id, by=by)
    call.query()
    await findings.resolve(finding_id, by=by)
    return answers.finding(await findings.by_id(finding_id, by=by))


async def reopen(call: Call) -> answers.Finding:
    """Open a finding again."""
    finding_id, findings, by = call.path_id(), call.services.findings, call.user.user_id
    await findings.by_id(finding_id, by=by)
    call.query()
    await findings.reopen(finding_id, by=by)
    return answers.finding(await findings.by_id(finding_id, by=by))
