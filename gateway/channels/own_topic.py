"""The base of topics that belong to one user: only that user joins, and may ask for what was missed with `after_id`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from gateway.channel import Error, JoinResult, Ok
from gateway.channels.authenticated import TRY_AGAIN, AuthenticatedChannel
from shared.domain.ids import parse_id
from shared.postgres import DatabaseUnavailable
from shared.security_events import SecurityEvent

CATCH_UP_LIMIT = 200
"""The most stored events in the answer to a join."""

USER_NOT_FOUND = Error({"reason": "user not found"})
UNAUTHORIZED = Error({"reason": "unauthorized"})


class OwnTopic(AuthenticatedChannel):
    """Subclasses say whose a topic is, and read what a client has missed."""

    @classmethod
    @abstractmethod
    def owner_of(cls, topic: str) -> int | None:
        """Returns the user to whom the topic belongs; None if its name has no id."""

    @abstractmethod
    async def missed(self, user_id: int, after_id: int) -> dict[str, Any]:
        """Returns the answer to a join: what a client with this id may lack, and whether that is all of it.

        Raises DatabaseUnavailable.
        """

    async def join(self, topic: str, params: Any) -> JoinResult:
        user_id = self.owner_of(topic)
        if user_id is None:
            return USER_NOT_FOUND
        try:
            if user_id != self.actor.user_id:
                self.tell(SecurityEvent.ACCESS_REFUSED, topic=topic)
                exists = await self.context.admission.is_registered(user_id)
                return UNAUTHORIZED if exists else USER_NOT_FOUND
            if not isinstance(params, dict) or params.get("after_id") is None:
                return Ok()
            return await self._catch_up(user_id, params["after_id"])
        except DatabaseUnavailable:
            return TRY_AGAIN

    async def _catch_up(self, user_id: int, raw_id: Any) -> JoinResult:
        # The number 0 in any spelling, but not `false`, which equals 0 in Python.
        after_id = 0 if raw_id in (0, "0") and raw_id is not False else parse_id(raw_id)
        if after_id is None:
            return Error({"reason": "invalid after_id"})
        # Subscribe before reading: what is stored in between then arrives as a broadcast, after this answer.
        await self.subscribe()
        return Ok(await self.missed(user_id, after_id))
