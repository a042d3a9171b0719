"""`moderation`: tells moderators and admins what waits in their queue, and who of them looks at which group.

A moderator who opens a group claims it. A claim is an entry of presence, so it ends with the channel that made it, and
with a node that dies. Each channel holds one claim at most. Two who claim at the same moment on two nodes may both be
told `ok`; shared/events/moderation.py says which of them holds the group, so that all devices agree. A claim forbids
nothing: closing a group twice does nothing more.

To a moderator, groups about themselves and their listings do not exist: they neither claim them nor see who does.
"""

from __future__ import annotations

import time
from typing import Any

from gateway.channel import Error, HandleResult, InfoResult, Ok
from gateway.channels.authenticated import TRY_AGAIN
from gateway.channels.staff import StaffChannel
from gateway.presence.outlet import PRESENCE_DIFF, PRESENCE_STATE
from shared.access.policy import Action
from shared.domain.ids import parse_id
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.events.moderation import QUEUE_EVENTS, TAKEN, claim_key
from shared.postgres import DatabaseUnavailable

CLAIM = "claim"
RELEASE = "release"
INVALID_CLAIM = Error({"reason": "invalid claim"})

_PRESENT = "present"
"""The message that the channel sends to itself after its join."""


class Moderation(StaffChannel):
    """Join: moderators and admins. Pushes: the events of shared/events/moderation.py, and presence.

    `claim` {kind, id, take?} and `release` {} are answered `{}`. A group that somebody else holds is refused with the
    reason `claimed` and `by`, unless `take` is true: then the other one loses it.
    """

    action = Action.REPORT_READ
    intercepts = QUEUE_EVENTS | {TAKEN, PRESENCE_DIFF}
    tracks_presence = True

    _claimed: str | None = None

    def joined(self) -> None:
        self.send_info(_PRESENT)

    async def handle_info(self, message: Any) -> InfoResult:
        if message != _PRESENT:
            return await super().handle_info(message)
        self.push(PRESENCE_STATE, self._about_others(self.list_presence()))
        return None

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if event not in (CLAIM, RELEASE):
            return await super().handle_in(event, payload)
        if self.is_over_budget():
            return self.limited(event)
        if event == RELEASE:
            self._release()
            return Ok()
        return await self._claim(payload if isinstance(payload, dict) else {})

    async def _claim(self, payload: dict[str, Any]) -> Ok | Error:
        subject = _subject(payload)
        try:
            person_id = None if subject is None else await self._person_of(subject)
        except DatabaseUnavailable:
            return TRY_AGAIN
        if subject is None or person_id is None or person_id == self.actor.user_id:
            return INVALID_CLAIM
        key = claim_key(subject)
        holder = self._holder(key)
        if holder is not None and holder["user_id"] != self.actor.user_id:
            if payload.get("take") is not True:
                return Error({"reason": "claimed", "by": {"id": holder["user_id"], "name": holder["name"]}})
            by = {"id": self.actor.user_id, "name": self.actor.name}
            taken = {"kind": subject.kind.value, "id": subject.id, "person_id": person_id, "by": by}
            self.broadcast(TAKEN, taken)
        if key != self._claimed:
            self._release()
            meta = {"user_id": self.actor.user_id, "name": self.actor.name, "at": time.time_ns() // 1_000_000}
            self.track(key, {**meta, "person_id": person_id})
            self._claimed = key
        return Ok()

    async def _person_of(self, subject: GroupSubject) -> int | None:
        """Returns the person whom a group is about; None if there is no such listing. Raises DatabaseUnavailable."""
        if subject.kind is SubjectKind.PERSON:
            return subject.id
        audience = await self.context.audiences.get_now(subject.id)
        return None if audience is None else audience.listing.seller_id

    def _release(self) -> None:
        if self._claimed is not None:
            self.untrack(self._claimed)
            self._claimed = None

    def _holder(self, key: str) -> dict[str, Any] | None:
        metas: list[dict[str, Any]] = self.list_presence().get(key, {"metas": []})["metas"]
        return min(metas, key=lambda meta: (meta["at"], meta["phx_ref"]), default=None)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        if event == PRESENCE_DIFF:
            payload = {change: self._about_others(entries) for change, entries in payload.items()}
            if not any(payload.values()):
                return None
        elif payload.get("person_id") == self.actor.user_id:
            return None
        if event == TAKEN and payload["by"]["id"] != self.actor.user_id:
            subject = _subject(payload)
            if subject is not None and claim_key(subject) == self._claimed:
                self._release()
        self.push(event, payload)
        return None

    def _about_others(self, entries: dict[str, Any]) -> dict[str, Any]:
        """Returns the entries of presence without those of groups about this moderator."""
        me = self.actor.user_id
        own = claim_key(GroupSubject(SubjectKind.PERSON, me))
        # What a node of an earlier release tells does not name the person.
        return {
            key: entry
            for key, entry in entries.items()
            if key != own and all(meta.get("person_id") != me for meta in entry["metas"])
        }


def _subject(payload: dict[str, Any]) -> GroupSubject | None:
    kind, subject_id = payload.get("kind"), parse_id(payload.get("id"))
    if subject_id is None or not isinstance(kind, str) or kind not in list(SubjectKind):
        return None
    return GroupSubject(SubjectKind(kind), subject_id)
