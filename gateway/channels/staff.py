"""The base of the channels of moderators and admins: whoever loses the role is taken out."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.channel import InfoResult, JoinResult, Notice, Ok, Stop
from gateway.channels.authenticated import TRY_AGAIN, AuthenticatedChannel
from gateway.channels.own_topic import UNAUTHORIZED
from gateway.context import Context
from shared.access.admission import Refused
from shared.access.policy import Action, may_ever
from shared.events import control, topics
from shared.postgres import DatabaseUnavailable
from shared.security_events import SecurityEvent


class StaffChannel(AuthenticatedChannel):
    """Join: whoever may do the `action` now, as Postgres says."""

    action: ClassVar[Action]
    watches_access = True

    async def join(self, topic: str, params: Any) -> JoinResult:
        # Subscribe before the look-up: a role that is lost in between would go unnoticed.
        await self.subscribe()
        try:
            actor = await self.context.admission.readmit(self.actor)
        except Refused:
            return UNAUTHORIZED
        except DatabaseUnavailable:
            return TRY_AGAIN
        if not may_ever(self.action, actor):
            self.tell(SecurityEvent.ACCESS_REFUSED, topic=topic)
            return UNAUTHORIZED
        # So they count as online (api/absence.py), as viewers of a listing do.
        await self.subscribe_node(topics.private_chat(self.actor.user_id))
        self.joined()
        return Ok()

    def joined(self) -> None:
        """Called when the join is accepted, before its reply."""

    # Who may stay

    def concerns(self, notice: Notice) -> bool:
        return notice.event == control.ROLE_CHANGED

    @classmethod
    async def look(cls, topic: str, context: Context) -> None:
        """Nothing has to be looked up: the actor has the role that Postgres had when it changed."""

    def judge(self, found: None) -> InfoResult:
        return None if may_ever(self.action, self.actor) else Stop()
