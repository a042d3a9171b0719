"""`system`: tells admins which processes run, what each gateway has to do, and where a person is connected."""

from __future__ import annotations

from typing import Any

from gateway.channel import Error, HandleResult, InfoResult, Ok
from gateway.channels.staff import StaffChannel
from shared.access.policy import Action
from shared.domain.ids import parse_id
from shared.events.system import DEVICES

INVALID_USER = Error({"reason": "invalid user"})

_WATCH = "watch"
"""The message that the channel sends to itself after its join."""


class System(StaffChannel):
    """Join: admins. Pushes: the events of shared/events/system.py.

    `devices` {user_id} is answered `{}`; then each gateway sends the event `devices`.
    """

    action = Action.SYSTEM_READ

    def joined(self) -> None:
        self.send_info(_WATCH)

    async def handle_info(self, message: Any) -> InfoResult:
        if message != _WATCH:
            return await super().handle_info(message)
        self.context.system.watch()
        return None

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if event != DEVICES:
            return await super().handle_in(event, payload)
        if self.is_over_budget():
            return self.limited(event)
        user_id = parse_id(payload.get("user_id")) if isinstance(payload, dict) else None
        if user_id is None:
            return INVALID_USER
        self.context.system.ask_for(user_id)
        return Ok()
