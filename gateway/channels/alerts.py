"""`alerts:{user_id}`: tells a user, on all devices, of saved searches, favourites, own listings and replies to them.

APIs store alerts and then broadcast them (api/telling.py, api/handlers/replies.py). Clients push nothing but new
access tokens.
"""

from __future__ import annotations

from typing import Any

from gateway.channels.own_topic import OwnTopic
from shared.events import topics
from shared.events.alerts import alert_payload


class Alerts(OwnTopic):
    """Join: only with the user's own id. Pushes: the kinds of alerts (shared/domain/alerts.py), and `seen`."""

    @classmethod
    def owner_of(cls, topic: str) -> int | None:
        return topics.user_of_alerts(topic)

    async def missed(self, user_id: int, after_id: int) -> dict[str, Any]:
        found = await self.context.alert_catch_ups.get((user_id, after_id))
        assert found is not None
        return {"alerts": [alert_payload(alert.json) for alert in found.alerts], "complete": found.is_complete}
