"""Says who is nowhere online: has joined no topic, on any node.

Nodes subscribe to the topic `private_chat` of everybody who has joined it or looks at a listing, and to `alerts` of
everybody who has joined that.

It never takes somebody for away because something is broken. If Redis cannot be asked, or one of the gateways that are
alive has no link to it, nobody knows who is online, and callers wait. A link may break just before a look, and clients
connect again within seconds after they were cut off: so callers look twice, `away_seconds` apart, before they tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.events import topics
from shared.postgres import Database
from shared.pubsub.audience import AudienceUnknown, audience_for
from shared.repositories.nodes import NodeRepository
from shared.settings import Settings


class NobodyKnows(Exception):
    """It cannot be said who is online. The message says why."""


class Absence:
    def __init__(self, settings: Settings, database: Database) -> None:
        self._lease_seconds = settings.node_lease_seconds
        self._nodes = NodeRepository(database)
        self._audience = audience_for(settings)

    async def online(self, user_ids: Iterable[int]) -> set[int]:
        """Returns those of the users of whom a socket has joined. Raises NobodyKnows or DatabaseUnavailable."""
        asked = {topic: user for user in user_ids for topic in (topics.private_chat(user), topics.alerts(user))}
        if not asked:
            return set()
        gateways = await self._nodes.gateways(lease_seconds=self._lease_seconds)
        if not all(gateways.values()):
            raise NobodyKnows("a gateway has no link to Redis")
        # In the same answer: a gateway is subscribed to a topic of its own for as long as its link is up.
        own = [topics.node(gateway) for gateway in gateways]
        try:
            heard = await self._audience.heard([*asked, *own])
        except AudienceUnknown as error:
            raise NobodyKnows(str(error)) from error
        if not heard.issuperset(own):
            raise NobodyKnows("a gateway has just lost its link to Redis, or has just ended")
        return {user for topic, user in asked.items() if topic in heard}

    async def close(self) -> None:
        """Close the connections."""
        await self._audience.close()
