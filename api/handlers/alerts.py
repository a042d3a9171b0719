"""Alerts: what you were told about saved searches and favourites, and what of it you have seen."""

from __future__ import annotations

from api.answers import Json
from api.call import Call
from api.pagination import decode_cursor, encode_cursor
from api.schemas.answers import notices as answers
from api.schemas.pages import PageQuery
from api.schemas.saved_searches import SeenBody
from shared.domain.ids import MAX_ID
from shared.events import topics
from shared.events.alerts import ALERTS_SEEN, seen_payload


async def find(call: Call) -> Json[answers.AlertsPage]:
    """Your alerts, latest first, and how many of them are new."""
    query, alerts, user_id = call.query(PageQuery), call.services.alerts, call.user.user_id
    before_id, limit = decode_cursor(query.cursor, int) or MAX_ID, query.limit
    found = await alerts.latest(user_id, before_id=before_id, limit=limit + 1)
    next_cursor = f'"{encode_cursor(found[limit - 1].id)}"' if len(found) > limit else "null"
    unseen = await alerts.unseen(user_id)
    data = ",".join(alert.json for alert in found[:limit])
    return Json(f'{{"data":[{data}],"next_cursor":{next_cursor},"unseen":{unseen}}}')


async def see(call: Call) -> answers.Unseen:
    """Mark your alerts as seen, up to one of them. Your other devices are told."""
    body = await call.body(SeenBody)
    alerts, user_id = call.services.alerts, call.user.user_id
    is_change = await alerts.see(user_id, body.up_to)
    unseen = await alerts.unseen(user_id)
    if is_change:
        call.services.realtime.broadcast([topics.alerts(user_id)], ALERTS_SEEN, seen_payload(body.up_to, unseen))
    return answers.Unseen(unseen=unseen)
