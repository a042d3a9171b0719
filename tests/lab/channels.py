"""The lab's channels. They do everything that a channel can do; the recorded sessions are played against them."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

from gateway.channel import Channel, Error, HandleResult, InfoResult, JoinResult, Ok, Reply, Stop
from gateway.protocol.topics import TopicRoutes
from shared.domain.ids import parse_id

KNOWN_USERS = range(1, 100_001)
_ids = itertools.count(1)


class LabChannel(Channel):
    """`lab:*`: each event names what the channel does with its payload."""

    intercepts = frozenset({"masked"})

    async def join(self, topic: str, params: Any) -> JoinResult:
        match topic.removeprefix("lab:"):
            case "ok":
                return Ok()
            case "echo_params":
                return Ok(params)
            case "denied":
                return Error({"reason": "denied"})
            case "raise":
                raise RuntimeError("the lab raises on request")
            case "slow":
                await asyncio.sleep(0.3)
                return Ok()
            case name if name.startswith("room:"):
                return Ok()
        raise LookupError(topic)

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "echo":
                return Ok(payload)
            case "echo_error":
                return Error(payload)
            case "echo_custom":
                return Reply("pending", payload)
            case "slow_echo":
                await asyncio.sleep(0.2)
                return Ok(payload)
            case "status_only":
                return Ok()
            case "noreply":
                return None
            case "push":
                self.push("pushed", payload)
                return None
            case "broadcast":
                self.broadcast("shout", payload)
                return None
            case "broadcast_from":
                self.broadcast_from("shout", payload)
                return None
            case "broadcast_reply":
                self.broadcast("shout", payload)
                return Ok()
            case "async_reply":
                ref = self.socket_ref()
                asyncio.get_running_loop().call_later(0.1, self.reply, ref, Ok(payload))
                return None
            case "stop":
                return Stop()
            case "stop_reply":
                return Stop(reply=Ok({"bye": True}))
            case "stop_shutdown":
                return Stop("shutdown")
            case "crash":
                raise RuntimeError("the lab crashes on request")
            case "binary_echo" if type(payload) is bytes:
                return Ok(payload)
            case "binary_push" if type(payload) is bytes:
                self.push("bin", payload)
                return None
            case "binary_broadcast" if type(payload) is bytes:
                self.broadcast("bin", payload)
                return None
            case "intercepted":
                self.broadcast("masked", payload)
                return None
            case "big" if type(payload["n"]) is int and payload["n"] >= 0:
                return Ok({"data": "x" * payload["n"]})
            case "disconnect_me":
                self.context.disconnect(self.actor.user_id)
                return None
        return await super().handle_in(event, payload)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        self.push(event, {**payload, "seen_by": str(self.actor.user_id)})
        return None


class LabPresence(LabChannel):
    """`lab:presence:*`: a join with `{"key", "meta"}` tracks this key with this meta."""

    tracks_presence = True

    async def join(self, topic: str, params: Any) -> JoinResult:
        self.key = _presence_key(params["key"])
        self.send_info(params["meta"])
        return Ok()

    async def handle_info(self, message: Any) -> InfoResult:
        self.push("presence_state", self.list_presence())
        self.track(self.key, message)
        return None

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "update_presence":
                self.update_presence(self.key, payload)
                return Ok()
            case "leave_presence":
                self.untrack(self.key)
                return Ok()
        return await super().handle_in(event, payload)


class LabPrivateChat(Channel):
    """`private_chat:ID` without a database: the users 1 to 100000 exist, and messages are not stored."""

    async def join(self, topic: str, params: Any) -> JoinResult:
        user_id = _known_user(topic.removeprefix("private_chat:"))
        if user_id is None:
            return Error({"reason": "user not found"})
        if user_id != self.actor.user_id:
            return Error({"reason": "unauthorized"})
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event, payload:
            case "send", {"to": to, "message": message}:
                recipient = _known_user(to)
                if recipient is None:
                    return Error({"reason": "user not found"})
                if not isinstance(message, str) or not message:
                    return Error({"reason": "invalid message"})
                sender, message_id = self.actor.user_id, next(_ids)
                sent = {
                    "id": message_id,
                    "from": str(sender),
                    "to": str(recipient),
                    "message": message,
                    "inserted_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                }
                for user_id in dict.fromkeys((recipient, sender)):
                    self.broadcast_to(f"private_chat:{user_id}", "send", sent)
                return Ok({"id": message_id})
        return await super().handle_in(event, payload)


def _presence_key(given: Any) -> str:
    """The text that Elixir's to_string makes of a value."""
    match given:
        case str():
            return given
        case None:
            return ""
        case bool():
            return "true" if given else "false"
        case int():
            return str(given)
    raise TypeError(type(given).__name__)


def _known_user(given: Any) -> int | None:
    """The id of an existing user, read as the product reads ids; else None."""
    user_id = parse_id(given)
    return user_id if user_id in KNOWN_USERS else None


routes = TopicRoutes(
    (
        ("lab:ok", LabChannel),
        ("lab:echo_params", LabChannel),
        ("lab:denied", LabChannel),
        ("lab:raise", LabChannel),
        ("lab:slow", LabChannel),
        ("lab:room:*", LabChannel),
        ("lab:presence:*", LabPresence),
        ("private_chat:*", LabPrivateChat),
    )
)
