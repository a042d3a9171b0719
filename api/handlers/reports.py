"""Reports about listings: users make them, moderators resolve them."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.pagination import decode_cursor, page
from api.schemas import answers
from api.schemas.pages import PageQuery
from api.schemas.reports import ReportBody
from shared.domain.reports import QueuePosition


async def create(call: Call) -> web.Response:
    listing = await call.listing()
    body = await call.body(ReportBody)
    report = await call.services.reports.create(listing.id, call.user.user_id, body.reason, body.text)
    return json_answer(answers.report(report), 201)


async def find(call: Call) -> web.Response:
    query = call.query(PageQuery)
    position = decode_cursor(query.cursor, tuple[datetime, int, int, int, int])
    after = None if position is None else QueuePosition(*position)
    queue = await call.services.reports.queue(after, query.limit + 1)
    return json_answer(page(queue, query.limit, lambda one: answers.queued_report(one[0]), lambda one: astuple(one[1])))


async def resolve(call: Call) -> web.Response:
    report_id, reports = call.path_id(), call.services.reports
    await reports.by_id(report_id)
    call.query()
    report = await reports.resolve(report_id, by=call.user.user_id)
    return json_answer(answers.report(report))
