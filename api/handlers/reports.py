"""Reports about listings: users make them, moderators resolve them."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.repeats import once
from api.schemas import answers
from api.schemas.pages import PageQuery
from api.schemas.reports import ReportBody
from shared.domain.reports import OwnListingReported, QueuePosition


async def create(call: Call) -> answers.Report:
    """Tell the moderators about a listing; again only if it changed after they had looked at it."""
    listing = await call.listing()
    body = await call.body(ReportBody)
    if listing.seller_id == call.user.user_id:
        raise OwnListingReported
    async with once(call) as within:
        report = await within.services.reports.create(listing.id, call.user.user_id, body.reason, body.text)
        return await within.keep(answers.report(report))


async def find(call: Call) -> Page[answers.QueuedReport]:
    """Open reports; the most reported listing's come first."""
    query = call.query(PageQuery)
    position = decode_cursor(query.cursor, tuple[datetime, int, int, int, int])
    after = None if position is None else QueuePosition(*position)
    queue = await call.services.reports.queue(after, query.limit + 1)
    return page(queue, query.limit, lambda one: answers.queued_report(one[0]), lambda one: astuple(one[1]))


async def resolve(call: Call) -> answers.Report:
    """Close a report."""
    report_id, reports = call.path_id(), call.services.reports
    await reports.by_id(report_id)
    call.query()
    report = await reports.resolve(report_id, by=call.user.user_id)
    return answers.report(report)
