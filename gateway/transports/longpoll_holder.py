"""Reaches a long-poll session by the same three methods, on this node or on another node over the broker."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from gateway.protocol.close_codes import TOO_MANY_SESSIONS
from gateway.protocol.serializer import Serializer
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.node_calls import CallFailed, NodeCalls, NodeUnreachable
from gateway.transports.longpoll_body import ClientFrame
from gateway.transports.longpoll_session import (
    FAILED,
    GONE,
    NO_CONTENT,
    TIMED_OUT,
    LongPollConnection,
    PollAnswer,
)
from shared.access.actor import Actor

POLL, POST, ACKNOWLEDGE = "longpoll poll", "longpoll post", "longpoll acknowledge"

_NO_SESSION = PollAnswer(GONE)


class Holder(Protocol):
    """The sessions of one node."""

    async def poll(self, session_id: str, poll_id: str) -> PollAnswer:
        """Like LongPollConnection.poll; GONE if there is no such session."""

    def acknowledge(self, session_id: str, poll_id: str, delivered: bool) -> None:
        """Like LongPollConnection.acknowledge; nothing happens if there is no such session."""

    async def post(self, session_id: str, frames: list[ClientFrame]) -> int:
        """Like LongPollConnection.post; GONE if there is no such session."""


class LocalSessions:
    """The sessions on this node."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._sessions: dict[str, LongPollConnection] = {}

    def open(
        self, serializer: Serializer, actor: Actor, as_of: float, *, is_successor: bool = False
    ) -> LongPollConnection:
        """Open a session. If the user has too many, close the session that was polled longest ago.

        Sessions are limited because a client needs only a token to open one. `is_successor`: the session replaces a
        lost one.
        """
        members = self._endpoint.connections.of_user(actor.user_id)
        # A session that has just been closed may still be listed: it must neither count nor be closed again.
        own = [one for one in members if isinstance(one, LongPollConnection) and not one.gone]
        if len(own) >= self._endpoint.settings.max_longpoll_sessions_per_user:
            longest_unpolled = min(own, key=LongPollConnection.last_polled)
            longest_unpolled.close(TOO_MANY_SESSIONS)
        session = LongPollConnection(self._endpoint, serializer, actor, as_of, self._forget, is_successor=is_successor)
        if not session.gone:
            self._sessions[session.id] = session
        return session

    def _forget(self, session: LongPollConnection) -> None:
        self._sessions.pop(session.id, None)

    async def poll(self, session_id: str, poll_id: str) -> PollAnswer:
        session = self._sessions.get(session_id)
        return _NO_SESSION if session is None else await session.poll(poll_id)

    def acknowledge(self, session_id: str, poll_id: str, delivered: bool) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            session.acknowledge(poll_id, delivered)

    async def post(self, session_id: str, frames: list[ClientFrame]) -> int:
        session = self._sessions.get(session_id)
        return GONE if session is None else await session.post(frames)


class _PollCall(msgspec.Struct, array_like=True):
    session_id: str
    poll_id: str


class _AcknowledgeCast(msgspec.Struct, array_like=True):
    session_id: str
    poll_id: str
    delivered: bool


class _PostCall(msgspec.Struct, array_like=True):
    session_id: str
    frames: list[ClientFrame]


_encode = msgspec.msgpack.Encoder().encode


class RemoteSessions:
    """The sessions on another node. If that node cannot be reached, it counts as having none."""

    def __init__(self, calls: NodeCalls, node_id: str, window_seconds: float, patience_seconds: float) -> None:
        self._calls = calls
        self._node_id = node_id
        self._seconds = window_seconds + patience_seconds

    async def poll(self, session_id: str, poll_id: str) -> PollAnswer:
        try:
            answer = await self._call(POLL, _PollCall(session_id, poll_id))
        except NodeUnreachable:
            return _NO_SESSION
        except TimeoutError:
            # The answer may have been lost on its way: its messages are for the next poll.
            self.acknowledge(session_id, poll_id, False)
            return PollAnswer(NO_CONTENT)
        except CallFailed:
            return PollAnswer(FAILED)
        return msgspec.msgpack.decode(answer, type=PollAnswer)

    def acknowledge(self, session_id: str, poll_id: str, delivered: bool) -> None:
        self._calls.cast(self._node_id, ACKNOWLEDGE, _encode(_AcknowledgeCast(session_id, poll_id, delivered)))

    async def post(self, session_id: str, frames: list[ClientFrame]) -> int:
        try:
            answer = await self._call(POST, _PostCall(session_id, frames))
        except NodeUnreachable:
            return GONE
        except TimeoutError:
            return TIMED_OUT
        except CallFailed:
            return FAILED
        return msgspec.msgpack.decode(answer, type=int)

    async def _call(self, method: str, argument: Any) -> bytes:
        return await self._calls.call(self._node_id, method, _encode(argument), self._seconds)


def serve_sessions(calls: NodeCalls, sessions: LocalSessions) -> None:
    """Let other nodes reach the sessions on this node."""

    async def poll(argument: bytes) -> bytes:
        call = msgspec.msgpack.decode(argument, type=_PollCall)
        return _encode(await sessions.poll(call.session_id, call.poll_id))

    async def post(argument: bytes) -> bytes:
        call = msgspec.msgpack.decode(argument, type=_PostCall)
        return _encode(await sessions.post(call.session_id, call.frames))

    def acknowledge(argument: bytes) -> None:
        cast = msgspec.msgpack.decode(argument, type=_AcknowledgeCast)
        sessions.acknowledge(cast.session_id, cast.poll_id, cast.delivered)

    calls.serve(POLL, poll)
    calls.serve(POST, post)
    calls.serve_cast(ACKNOWLEDGE, acknowledge)
