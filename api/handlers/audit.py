"""The audit log, for admins."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.pagination import decode_cursor, page
from shared.domain.ids import MAX_ID
from shared.domain.times import rfc3339
from shared.repositories.audit import Act


async def find(call: Call) -> web.Response:
    query = call.query()
    acts = await call.services.audit.latest(
        before_id=decode_cursor(query["cursor"], int) or MAX_ID, limit=query["limit"] + 1
    )
    return json_answer(page(acts, query["limit"], _act, lambda act: act.id))


def _act(act: Act) -> dict[str, Any]:
    return {
        "id": act.id,
        "actor": {"id": act.actor_id, "name": act.actor_name},
        "action": act.action,
        "target": {"type": act.target_type, "id": act.target_id},
        "reason": act.reason,
        "details": act.details,
        "created_at": rfc3339(act.created_at),
    }
