"""Which events of the channels, and which news by push and mail, the two sides of a block or a request get."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import pytest

from api.services import SERVICES
from gateway.presence.outlet import PRESENCE_DIFF, PRESENCE_STATE
from shared.domain.users import Role
from shared.events import moderation, topics
from shared.events.alerts import ALERT_EVENTS, ALERTS_SEEN
from shared.events.listings import LISTING_REMOVED, LISTING_UPDATED
from shared.events.messages import DELETED, REQUEST, SEND
from shared.events.replies import REPLY_CREATED
from shared.events.sanctions import OBJECTION, SANCTION
from shared.private_chat import EVENTS, Read, Typing
from shared.repositories.waiting import WaitingRepository
from shared.settings import Settings
from tests.api.conftest import Person
from tests.api.two_sides.test_leaks_of_routes import KINDS
from tests.api.two_sides.town import Marked, Node, Town, running_town
from tests.gateway.nodes import wait_for_looks
from tests.protocol.client_frames import Received
from tests.support.waiting import until

NEWS = "push and mail"
READ, TYPING = Read.NAME, Typing.NAME

OF_MODERATORS = tuple(value for name, value in vars(moderation).items() if name.isupper() and isinstance(value, str))

NOBODY = "no no no no no"
EVERYBODY = "yes yes yes yes yes"
UNBLOCKED = "yes yes yes no no"
KNOWN = "no yes no no no"

# Whether they hear what the owner does, and whether the owner hears what they do.
# open known declined blocked blocking
TABLE: Mapping[str, tuple[str, str]] = {
    SEND: (UNBLOCKED, "yes yes no no no"),
    READ: (KNOWN, KNOWN),
    TYPING: (KNOWN, KNOWN),
    # The owner has written nothing yet to those without an answer.
    DELETED: ("no yes no yes yes", EVERYBODY),
    REQUEST: (NOBODY, NOBODY),
    SANCTION: (NOBODY, NOBODY),
    OBJECTION: (NOBODY, NOBODY),
    REPLY_CREATED: (UNBLOCKED, UNBLOCKED),
    LISTING_UPDATED: (EVERYBODY, EVERYBODY),
    LISTING_REMOVED: (EVERYBODY, EVERYBODY),
    PRESENCE_STATE: (UNBLOCKED, UNBLOCKED),
    PRESENCE_DIFF: (UNBLOCKED, UNBLOCKED),
    "match": (UNBLOCKED, UNBLOCKED),
    "price_drop": (UNBLOCKED, UNBLOCKED),
    "sold": (UNBLOCKED, UNBLOCKED),
    "removed": (UNBLOCKED, UNBLOCKED),
    "ended": (UNBLOCKED, UNBLOCKED),
    # Only the seller is told.
    "ends": (NOBODY, NOBODY),
    "reply": (UNBLOCKED, UNBLOCKED),
    ALERTS_SEEN: (NOBODY, NOBODY),
    **dict.fromkeys(OF_MODERATORS, (NOBODY, NOBODY)),
    NEWS: (KNOWN, KNOWN),
}


class Watcher(Marked):
    """Hears everything on the topics that it joins."""

    def __init__(self, node: Node, actor: Any) -> None:
        super().__init__(node, actor)
        self.heard: list[Received] = []

    def hears(self, frame: Received) -> None:
        self.heard.append(frame)

    async def watches(self, *names: str) -> None:
        for name in names:
            self.says(name, name, name, "phx_join")
            answer = await self.answered(name)
            assert answer.payload["status"] == "ok", answer

    async def answered(self, ref: str) -> Received:
        """Wait for the answer to a push, and forget it."""
        await until(lambda: any(one.ref == ref for one in self.heard))
        [answer] = [one for one in self.heard if one.ref == ref]
        self.heard.remove(answer)
        return answer

    def has_seen(self, who: Person) -> bool:
        """Whether presence has shown the person, who may be gone again."""
        shown = [one.payload for one in self.heard if one.event in (PRESENCE_STATE, PRESENCE_DIFF)]
        return any(str(who.id) in one.get("joins", one) for one in shown)


class Pair:
    """An owner and one other person, whose relation is that of the column."""

    def __init__(self, town: Town, kind: str) -> None:
        self.town = town
        self.kind = kind
        self.found: dict[str, list[bool]] = {name: [False, False] for name in TABLE}

    async def meet(self, moderator: Person, category: int) -> None:
        self.people = await self.town.people(2)
        self.owner, self.other = self.people
        self.moderator, self.category = moderator, category
        self.cars = [
            [await self.town.rows.listing(one.id, category, price=1000) for _ in range(6)] for one in self.people
        ]
        self.first = [0, await self.writes(self.other, self.owner)]
        decision = f"/api/conversations/{self.other.id}/request"
        if self.kind == "declined":
            await self.does(self.owner, "PUT", decision, {"state": "declined"})
        elif self.kind != "open":
            self.first[0] = await self.writes(self.owner, self.other)
            await self.writes(self.other, self.owner)
        for one, theirs in zip(self.people, reversed(self.cars), strict=True):
            for car in theirs[1:]:
                await self.does(one, "PUT", f"/api/listings/{car}/favourite")
            await self.does(one, "POST", "/api/searches", {"name": "All", "query": {"category_id": category}})
        if self.kind == "blocked":
            await self.does(self.owner, "PUT", f"/api/users/{self.other.id}/block")
        elif self.kind == "blocking":
            await self.does(self.other, "PUT", f"/api/users/{self.owner.id}/block")
        self.watchers = [await self._watcher(one, node) for node, one in enumerate(self.people)]

    async def _watcher(self, who: Person, node: int, *names: str) -> Watcher:
        at = self.town.nodes[node]
        watcher = Watcher(at, await at.endpoint.context.admission.admit(who.access_token))
        cars = [topics.listing(one) for one in (*self.cars[0], *self.cars[1])]
        await watcher.watches(topics.private_chat(who.id), topics.alerts(who.id), *(names or cars))
        return watcher

    def leave(self) -> None:
        for watcher in self.watchers:
            watcher.dropped()

    async def does(self, who: Person, method: str, path: str, json: Any = None) -> Any:
        """Returns the answer, which may be that it is refused."""
        return (await self.town.ask(who, method, path, json))[1]

    async def writes(self, who: Person, to: Person) -> int:
        answer = await self.does(who, "POST", "/api/messages", {"to": to.id, "message": "Hello"})
        return int(answer.get("id", 0))

    async def heard(self, events: str | tuple[str, ...], by: int, act: Callable[[], Awaitable[Any]]) -> None:
        """Note whether the one who does not act hears these events of it."""
        await self._all_heard()
        listens = self.watchers[1 - by]
        listens.heard.clear()
        await act()
        while await self.town.http.app[SERVICES].telling.step():
            pass
        await self._all_heard()
        for event in (events,) if isinstance(events, str) else events:
            self.found[event][by] |= any(frame.event == event for frame in listens.heard)

    async def _all_heard(self) -> None:
        await self.town.settle(self.watchers)
        await wait_for_looks(*self.watchers)

    async def live(self) -> None:
        """Everything that one of the two does, the owner first."""
        for by, (who, to) in enumerate(((self.owner, self.other), (self.other, self.owner))):
            mine, theirs = self.cars[by], self.cars[1 - by]
            watcher = self.watchers[by]
            topic = topics.private_chat(who.id)

            async def push(event: str, payload: Any, watcher: Watcher = watcher, topic: str = topic) -> None:
                watcher.says(topic, "push", topic, event, payload)
                await watcher.answered("push")

            def asks(method: str, path: str, json: Any = None, by: Person = who) -> Callable[[], Awaitable[Any]]:
                return lambda: self.does(by, method, path, json)

            await self.heard(TYPING, by, partial(push, TYPING, {"to": str(to.id)}))
            up_to = self.first[1 - by]
            if up_to:
                await self.heard(READ, by, partial(push, READ, {"with": str(to.id), "up_to": up_to}))
            for event in (REPLY_CREATED, "reply"):
                await self.heard(event, by, asks("POST", f"/api/listings/{theirs[5]}/replies", {"text": "Hi"}))
            await self.heard(LISTING_UPDATED, by, asks("PATCH", f"/api/listings/{mine[0]}", {"price": 900}))
            listing = {"title": "New", "content": "It drives.", "category_id": self.category}
            await self.heard("match", by, asks("POST", "/api/listings", listing))
            await self.heard("price_drop", by, asks("PATCH", f"/api/listings/{mine[1]}", {"price": 800}))
            await self.heard("sold", by, asks("PATCH", f"/api/listings/{mine[2]}", {"status": "sold"}))
            await self.heard("removed", by, asks("DELETE", f"/api/listings/{mine[3]}"))
            ends = "UPDATE listings SET expires_at = now() + %s * interval '1 day' WHERE id = %s"
            for event, days in (("ends", 1), ("ended", 0)):
                await self.heard(event, by, partial(self.town.rows.execute, ends, days, mine[4]))
            await self.heard(LISTING_REMOVED, by, asks("DELETE", f"/api/listings/{mine[0]}"))
            await self.heard(ALERTS_SEEN, by, asks("PUT", "/api/alerts/seen", {"up_to": 10**6}))
            report = asks("POST", f"/api/users/{to.id}/reports", {"reason": "spam"})
            await self.heard(OF_MODERATORS, by, report)
            await self._presence(by)
            await self._news(by)
            if self.first[by]:
                await self.heard(DELETED, by, asks("DELETE", f"/api/messages/{self.first[by]}"))
            warn = asks("POST", f"/api/users/{who.id}/warnings", {"reason": "rude"}, by=self.moderator)
            await self.heard(SANCTION, by, warn)
            await self.heard(OBJECTION, by, warn)
            for warning in (await self.does(who, "GET", "/api/me/warnings"))["data"]:
                await self.does(who, "PUT", f"/api/me/warnings/{warning['id']}/read")
        # What changes who they are to each other comes last.
        await self.heard(SEND, 1, partial(self.writes, self.other, self.owner))
        for by, (who, to) in reversed(list(enumerate(((self.owner, self.other), (self.other, self.owner))))):
            path = f"/api/conversations/{to.id}/request"
            await self.heard(REQUEST, by, partial(self.does, who, "PUT", path, {"state": "accepted"}))
        await self.heard(SEND, 0, partial(self.writes, self.owner, self.other))

    async def _presence(self, by: int) -> None:
        """Whether the other one sees this one at a listing: who comes later, and who was there before."""
        [third, witness] = await self.town.people(2)
        who, other = self.people[by], self.people[1 - by]
        for event in (PRESENCE_DIFF, PRESENCE_STATE):
            topic = topics.listing(await self.town.rows.listing(third.id, self.category))
            sees = await self._watcher(other, 1 - by, topic) if event == PRESENCE_DIFF else None
            comes = await self._watcher(who, by, topic)
            # On the same node, and later: once this one is seen, the other one is too, if ever.
            last = await self._watcher(witness, by, topic)
            sees = sees or await self._watcher(other, 1 - by, topic)
            await until(partial(sees.has_seen, witness))
            self.found[event][by] = sees.has_seen(who)
            for watcher in (sees, comes, last):
                watcher.dropped()

    async def _news(self, by: int) -> None:
        """Whether the other one is told by push or mail of what was written."""
        who, other = self.people[by], self.people[1 - by]
        waiting = WaitingRepository(self.town.rows.database)
        while await waiting.enter(least_seconds=-1.0, most=1000, has_mail=True, mail_seconds=0.0):
            pass
        await self.town.rows.execute("UPDATE waiting_news SET due_at = now()")
        due = [one for one in await waiting.take(1000, 0.0) if one.waits]
        self.found[NEWS][by] = (other.id, who.id) in [(one.user_id, one.other_id) for one in due]


def test_the_table_has_every_event() -> None:
    of_people = {*EVENTS, DELETED, REQUEST, SANCTION, OBJECTION, *ALERT_EVENTS, ALERTS_SEEN}
    of_listings = {REPLY_CREATED, LISTING_UPDATED, LISTING_REMOVED, PRESENCE_STATE, PRESENCE_DIFF}
    assert set(TABLE) == of_people | of_listings | {*OF_MODERATORS, NEWS}


@pytest.fixture
async def town(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with running_town(settings, monkeypatch) as running:
        yield running


async def test_each_side_hears_what_the_table_says(town: Town) -> None:
    [moderator] = await town.people(1, Role.MODERATOR)
    found: dict[str, tuple[list[str], list[str]]] = {name: ([], []) for name in TABLE}
    for kind in KINDS:
        pair = Pair(town, kind)
        await pair.meet(moderator, await town.rows.category())
        await pair.live()
        pair.leave()
        for name, heard in pair.found.items():
            for by in (0, 1):
                found[name][by].append("yes" if heard[by] else "no")
    assert {name: (" ".join(owner), " ".join(other)) for name, (owner, other) in found.items()} == TABLE
