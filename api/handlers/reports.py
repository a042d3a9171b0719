"""Reports about listings, people, messages and replies: users make them, moderators resolve them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import astuple
from datetime import datetime

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import Invalid, NotFound
from api.repeats import once
from api.schemas.answers import reports as answers
from api.schemas.pages import PageQuery
from api.schemas.reports import ReportBody
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.domain.reports import OF_LISTINGS, OwnReported, QueuePosition, Report, Subject
from shared.events.moderation import REOPENED, REPORTED, RESOLVED
from shared.repositories.reports import ReportRepository


async def create(call: Call) -> answers.Report:
    """Tell the moderators about a listing; again only if it changed after they had looked at it."""
    listing = await call.listing()
    body = await call.body(ReportBody)
    if listing.seller_id == call.user.user_id:
        raise OwnReported
    async with once(call) as within:
        report = await within.services.reports.create(listing.id, call.user.user_id, body.reason, body.text)
        answer = await within.keep(answers.report(report))
    _tell(call, REPORTED, report)
    return answer


async def create_about_user(call: Call) -> answers.Report:
    """Tell the moderators about a person; again only if the person did something after they had looked at it."""
    user = await call.services.users.public(call.path_id())
    return await _create_about(call, Subject(user.id))


async def create_about_message(call: Call) -> answers.Report:
    """Show the moderators a message that you got."""
    subject = await call.services.reports.received(call.path_id(), by=call.user.user_id)
    if subject is None:
        raise NotFound
    return await _create_about(call, subject)


async def create_about_reply(call: Call) -> answers.Report:
    """Tell the moderators about a reply to a listing."""
    reply = await call.services.replies.by_id(call.path_id())
    await call.listing(reply.listing_id)
    return await _create_about(call, Subject(reply.author_id, reply_id=reply.id, quote=reply.text))


async def _create_about(call: Call, subject: Subject) -> answers.Report:
    body = await call.body(ReportBody)
    if subject.user_id == call.user.user_id:
        raise OwnReported
    if body.reason in OF_LISTINGS:
        raise Invalid({"reason": ["Only for listings."]})
    async with once(call) as within:
        report = await within.services.reports.create_about(subject, call.user.user_id, body.reason, body.text)
        answer = await within.keep(answers.report(report))
    _tell(call, REPORTED, report)
    return answer


async def find(call: Call) -> answers.ReportsPage:
    """Open reports; the most reported listing's or person's come first."""
    query = call.query(PageQuery)
    position = decode_cursor(query.cursor, tuple[datetime, int, int, int, int, int])
    after = None if position is None else QueuePosition(*position)
    reports, by = call.services.reports, call.user.user_id
    queue = await reports.queue(after, query.limit + 1, by=by)
    found: Page[answers.QueuedReport] = page(
        queue, query.limit, lambda one: answers.queued_report(one[0]), lambda one: astuple(one[1])
    )
    return answers.ReportsPage(found.data, found.next_cursor, await reports.open_count(by=by))


async def messages(call: Call) -> answers.ReportedMessages:
    """The reported message with the ten nearest of its conversation. Each request is in the audit log."""
    report_id, reports, by = call.path_id(), call.services.reports, call.user.user_id
    await reports.by_id(report_id, by=by)
    call.query()
    found = await reports.messages(report_id, by=by)
    return answers.reported_messages(found)


async def resolve(call: Call) -> answers.Report:
    """Close a report."""
    return await _decided(call, ReportRepository.resolve, RESOLVED)


async def reopen(call: Call) -> answers.Report:
    """Open a report again."""
    return await _decided(call, ReportRepository.reopen, REOPENED)


async def _decided(call: Call, decide: Callable[..., Awaitable[Report]], event: str) -> answers.Report:
    report_id, reports = call.path_id(), call.services.reports
    by = call.user.user_id
    await reports.by_id(report_id, by=by)
    call.query()
    report = await decide(reports, report_id, by=by)
    _tell(call, event, report)
    return answers.report(report)


def _tell(call: Call, event: str, report: Report) -> None:
    if report.listing_id is None:
        subject = GroupSubject(SubjectKind.PERSON, report.person_id)
    else:
        subject = GroupSubject(SubjectKind.LISTING, report.listing_id)
    call.services.realtime.queue_changed(event, subject, report.person_id, [report.id])
