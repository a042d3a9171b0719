"""Events on `alerts:{user_id}`: each kind of alert is an event of its own, with the alert as its payload. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.domain.alerts import AlertKind

ALERT_EVENTS = tuple(kind.value for kind in AlertKind)
"""The kinds of alerts. Their payloads are alerts, as REST shows them, with the id first."""
ALERTS_SEEN = "seen"
"""The user has seen the alerts up to one of them, on any device."""


def alert_payload(json: str) -> msgspec.Raw:
    """Returns the payload of an alert that is JSON already."""
    return msgspec.Raw(json.encode())


def seen_payload(up_to: int, unseen: int) -> dict[str, Any]:
    """Returns the payload of ALERTS_SEEN: the id of the last alert that was seen, and how many are still new."""
    return {"up_to": up_to, "unseen": unseen}
