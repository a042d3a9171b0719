"""An API that tells of listings only when a test says so, and what it has told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.services import SERVICES, Services
from shared.events.topics import alerts
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.api.conftest import NEVER, Api, Broadcasts, MakeApi, Person


@dataclass
class Told:
    """What was published about listings since the last look."""

    api: Api
    broadcasts: Broadcasts
    broker: MemoryBroker

    @property
    def services(self) -> Services:
        services: Services = self.api.client.app[SERVICES]
        return services

    async def listens(self, *people: Person) -> None:
        for person in people:
            await self.broker.subscribe(alerts(person.id))

    async def news(self, who: Person) -> list[Any]:
        """Tell of all changes, and return the (event, payload) pairs that the person got meanwhile."""
        await self.tell()
        mine = [(event, payload) for topic, event, payload in self.broadcasts.seen if topic == alerts(who.id)]
        self.broadcasts.seen = [one for one in self.broadcasts.seen if one[0] != alerts(who.id)]
        return mine

    async def tell(self) -> None:
        while await self.services.telling.step():
            pass

    async def kinds(self, who: Person) -> list[tuple[str, int]]:
        """Tell of all changes, and return the events that the person got, each with the listing's id."""
        return [(event, payload["listing_id"]) for event, payload in await self.news(who)]


async def told_by(make_api: MakeApi, hub: MemoryHub, settings: Settings, **changes: Any) -> Told:
    """Start such an API."""
    api = await make_api(telling_seconds=NEVER, rate_limits=False, **changes)
    # The API looks once when it starts.
    await api.client.app[SERVICES].telling.looked.wait()
    broadcasts, broker = Broadcasts(settings), MemoryBroker(hub)
    await broker.start(broadcasts)
    return Told(api, broadcasts, broker)
