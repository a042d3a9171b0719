"""The base of the product's channels. They accept new access tokens, so that a connection outlives its first token."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.channel import Channel, Error, HandleResult, Ok
from gateway.context import Context
from shared.access.admission import Refused
from shared.postgres import DatabaseUnavailable
from shared.security_events import SecurityEvent

ACCESS_TOKEN = "access_token"

TOO_MANY_REQUESTS = Error({"reason": "too many requests"})
TRY_AGAIN = Error({"reason": "try again"})
"""The database is away. Nothing has changed, and the client may try again later."""


class AuthenticatedChannel(Channel):
    """Subclasses pass unknown events to `super().handle_in`."""

    @property
    def context(self) -> Context:
        context: Context = self._server.connection.endpoint.context
        return context

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if event != ACCESS_TOKEN:
            return await super().handle_in(event, payload)
        if self.is_over_budget():
            return self.limited(event)
        token = payload.get(ACCESS_TOKEN) if isinstance(payload, dict) else None
        as_of = asyncio.get_running_loop().time()
        try:
            fresh = await self.context.admission.admit(token if isinstance(token, str) else "")
        except Refused:
            return Error({"reason": "invalid token"})
        except DatabaseUnavailable:
            return TRY_AGAIN
        if fresh.user_id != self.actor.user_id:
            return Error({"reason": "invalid token"})
        self.renew(fresh, as_of)
        return Ok()

    def is_over_budget(self) -> bool:
        """Returns whether the user has joined and asked too often; counts this time as well."""
        budget = self.context.join_budget
        return budget is not None and not budget.take(self.actor.user_id)

    def limited(self, event: str) -> Error:
        """Returns the answer to a push of which the user has sent too many; the operator is told."""
        self.tell(SecurityEvent.LIMITED, limit=event)
        return TOO_MANY_REQUESTS
