"""Reports about listings: made by users, worked through by moderators."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime
from typing import Any

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.pagination import decode_cursor, page
from shared.domain.reports import QueuedReport, QueuePosition, Report
from shared.domain.times import rfc3339, rfc3339_or_none


async def create(call: Call) -> web.Response:
    listing = await call.listing()
    body = await call.body()
    report = await call.services.reports.create(listing.id, call.user.user_id, body["reason"], body["text"])
    return json_answer(report_payload(report), 201)


async def find(call: Call) -> web.Response:
    query = call.query()
    position = decode_cursor(query["cursor"], tuple[datetime, int, int, int, int])
    after = None if position is None else QueuePosition(*position)
    queue = await call.services.reports.queue(after, query["limit"] + 1)
    return json_answer(page(queue, query["limit"], lambda one: _queued(one[0]), lambda one: astuple(one[1])))


async def resolve(call: Call) -> web.Response:
    report_id, reports = call.path_id(), call.services.reports
    await reports.by_id(report_id)
    call.query()
    report = await reports.resolve(report_id, by=call.user.user_id)
    return json_answer(report_payload(report))


def report_payload(report: Report) -> dict[str, Any]:
    return {
        "id": report.id,
        "listing_id": report.listing_id,
        "reporter_id": report.reporter_id,
        "reason": report.reason.value,
        "text": report.text,
        "created_at": rfc3339(report.created_at),
        "resolved_at": rfc3339_or_none(report.resolved_at),
        "resolved_by": report.resolved_by,
    }


def _queued(queued: QueuedReport) -> dict[str, Any]:
    report = queued.report
    return {
        **report_payload(report),
        "reporter": {"id": report.reporter_id, "name": queued.reporter_name},
        "listing": {"id": report.listing_id, "title": queued.listing_title, "trashed": queued.listing_is_trashed},
        "report_count": queued.count,
    }
