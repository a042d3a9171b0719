"""Events about what was done to somebody, on the person's own topic of private chats. Pure."""

from __future__ import annotations

from typing import Any

from shared.domain.sanctions import Sanction
from shared.domain.times import rfc3339, rfc3339_or_none

SANCTION = "sanction"
"""The person was warned, suspended or banned, or a listing of theirs was hidden."""
OBJECTION = "objection"
"""Somebody has decided about the person's objection."""


def sanction_payload(sanction: Sanction) -> dict[str, Any]:
    """Returns the payload of SANCTION. It does not say who did it."""
    return {
        "id": sanction.id,
        "kind": sanction.kind.value,
        "reason": sanction.reason,
        "listing_id": sanction.listing_id,
        "given_at": rfc3339(sanction.given_at),
        "until": rfc3339_or_none(sanction.until),
    }


def objection_payload(sanction: Sanction) -> dict[str, Any]:
    """Returns the payload of OBJECTION. It does not say who decided."""
    objection = sanction.objection
    return {
        "sanction_id": sanction.id,
        "kind": sanction.kind.value,
        "outcome": objection and objection.outcome and objection.outcome.value,
        "answer": objection and objection.answer,
    }
