"""The long-poll transport: a connection over plain HTTP, for clients that cannot use a WebSocket.

Any node can answer for any session: the session's token names the node that holds it, and the answering node asks that
node. The status of an answer is in its JSON body, as in Phoenix.Transports.LongPoll. The HTTP status is always 200, so
that proxies and browsers do not touch the body.

This module limits the size of a request's body and the time in which it arrives. aiohttp limits the headers: 8,190
bytes a line, 128 lines, within the server's keep-alive time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.node_calls import NodeCalls
from gateway.runtime.refusals import NO_TOKEN, POSTGRES_AWAY, UNKNOWN_VERSION, WRONG_ORIGIN
from gateway.transports.handshake import origin_is_allowed, serializer_of
from gateway.transports.longpoll_body import frames_of
from gateway.transports.longpoll_holder import Holder, LocalSessions, RemoteSessions, serve_sessions
from gateway.transports.longpoll_reply import Reply
from gateway.transports.longpoll_session import (
    BAD_REQUEST,
    FAILED,
    FORBIDDEN,
    GONE,
    TIMED_OUT,
    TOO_LARGE,
    PollAnswer,
)
from gateway.transports.longpoll_token import SessionReference, SessionTokens
from gateway.transports.refused import tell_refused
from shared.access.admission import Admit, Refused
from shared.postgres import DatabaseUnavailable

AUTH_TOKEN_HEADER = "X-Phoenix-AuthToken"
SESSION_TOKEN_HEADER = "X-Phoenix-Longpoll-Token"

_HEADERS = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*", hdrs.CACHE_CONTROL: "no-store"}
_PREFLIGHT_HEADERS = {
    **_HEADERS,
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: f"accept, content-type, {AUTH_TOKEN_HEADER}, {SESSION_TOKEN_HEADER}".lower(),
    hdrs.ACCESS_CONTROL_MAX_AGE: "3600",
}
_DRAINING_POLL_SECONDS = 1.0
"""How long a stopping node holds a poll for another node's session; the client's next poll goes elsewhere."""

_encode = msgspec.json.Encoder().encode


class _Tokens(NamedTuple):
    """The tokens of a request. phoenix.js appends the session's token to parameters that may also have the JWT."""

    session: str
    """The session's token if its signature is valid, else ""."""
    reference: SessionReference | None
    """The session that the token names."""
    jwt: str
    """The access token, unchecked; "" if there is none."""


class LongPollTransport:
    """The handler of `/socket/longpoll`."""

    def __init__(self, endpoint: Endpoint, admit: Admit) -> None:
        """Raises ValueError if the settings have no secret."""
        self._endpoint = endpoint
        self._settings = endpoint.settings
        self._admit = admit
        self._tokens = SessionTokens(endpoint.settings.jwt_secrets)
        self._calls = NodeCalls(endpoint)
        self._sessions = LocalSessions(endpoint)
        self._poll_numbers = itertools.count(1)
        self._proxied: dict[str, tuple[Holder, str]] = {}
        """Polls for sessions of other nodes: poll id -> the holder and the session's id."""
        serve_sessions(self._calls, self._sessions)
        endpoint.on_drain(self._drain)

    async def lifetime(self, _: web.Application) -> AsyncIterator[None]:
        """For `cleanup_ctx`, within the lifetime of the endpoint."""
        await self._calls.start()
        yield
        await self._calls.stop()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a poll (GET), a POST of frames, or a CORS preflight."""
        match request.method:
            case hdrs.METH_OPTIONS if self._is_allowed(request):
                return _preflight(request)
            case hdrs.METH_GET | hdrs.METH_POST | hdrs.METH_OPTIONS:
                reply = Reply(request, _HEADERS, self._endpoint.step, self._settings.longpoll_beat_seconds)
                # A ConnectionError means that the client has gone, so nobody waits for the answer.
                with contextlib.suppress(ConnectionError):
                    await self._answer(request, reply)
                return reply.response
            case _:
                return web.Response(status=400, headers=_HEADERS)

    def _is_allowed(self, request: web.Request) -> bool:
        return origin_is_allowed(request, self._settings)

    async def _answer(self, request: web.Request, reply: Reply) -> None:
        if not self._is_allowed(request):
            await self._end(reply, self._refused(request, WRONG_ORIGIN))
        elif request.method == hdrs.METH_GET:
            await self._get(request, reply)
        else:
            await self._end(reply, {"status": await self._post(request, reply)})

    async def _end(self, reply: Reply, body: dict[str, object]) -> bool:
        """Send the body. Returns whether it was sent to a client that was still there."""
        return await reply.end(_encode(body), is_last=self._endpoint.is_draining)

    # Polls

    async def _get(self, request: web.Request, reply: Reply) -> None:
        query = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
        tokens = self._tokens_of(request, query)
        if tokens.reference is None:
            await self._end(reply, await reply.after(self._open(request, query, tokens)))
            return
        holder = self._holder(tokens.reference)
        session_id = tokens.reference.session_id
        poll_id = f"{self._endpoint.node_id}:{next(self._poll_numbers)}"
        is_delivered = False
        try:
            answer = await reply.after(self._poll(holder, session_id, poll_id))
            if answer.status != GONE:
                body = {"messages": answer.messages, "status": answer.status, "token": tokens.session}
                is_delivered = await self._end(reply, body)
                return
        finally:
            # A cancelled poll must be acknowledged too: it may still wait at its holder.
            holder.acknowledge(session_id, poll_id, is_delivered)
        body = await reply.after(self._open(request, query, tokens))
        if answer.has_ended and body["status"] == FORBIDDEN:
            # The client was allowed this poll, but its session has ended since. Only the next poll is refused.
            body = {"messages": [], "status": GONE, "token": None}
        await self._end(reply, body)

    async def _poll(self, holder: Holder, session_id: str, poll_id: str) -> PollAnswer:
        if holder is self._sessions:
            return await holder.poll(session_id, poll_id)
        self._proxied[poll_id] = (holder, session_id)
        try:
            if self._endpoint.is_draining:
                asyncio.get_running_loop().call_later(_DRAINING_POLL_SECONDS, self._give_up, poll_id)
            return await holder.poll(session_id, poll_id)
        finally:
            del self._proxied[poll_id]

    def _give_up(self, poll_id: str) -> None:
        """Make the holder answer the poll at once, without messages."""
        if poll_id in self._proxied:
            holder, session_id = self._proxied[poll_id]
            holder.acknowledge(session_id, poll_id, False)

    def _drain(self) -> None:
        """This node stops: answer the polls for sessions of other nodes, so that the clients poll elsewhere."""
        for poll_id in tuple(self._proxied):
            self._give_up(poll_id)

    async def _open(self, request: web.Request, query: list[tuple[str, str]], tokens: _Tokens) -> dict[str, object]:
        """Open a session if the client may connect. Returns the body of the answer.

        If the client shows the token of a session that is gone, the new session replaces that one.
        """
        parameters = dict(query)
        serializer = serializer_of(parameters)
        if serializer is None:
            return self._refused(request, UNKNOWN_VERSION)
        if not tokens.jwt:
            return self._refused(request, NO_TOKEN)
        as_of = asyncio.get_running_loop().time()
        # FAILED and not another status: phoenix.js tries again after FAILED, and stops at a status that it does not
        # know.
        try:
            actor = await self._admit(tokens.jwt)
        except Refused as refused:
            return self._refused(request, refused.reason, refused.user_id)
        except DatabaseUnavailable:
            return {**self._refused(request, POSTGRES_AWAY), "status": FAILED}
        if self._endpoint.is_draining:
            return {"status": FAILED}
        session = self._sessions.open(serializer, actor, as_of, is_successor=bool(tokens.session))
        token = self._tokens.issue(SessionReference(self._endpoint.node_id, session.id))
        return {"messages": [], "status": GONE, "token": token}

    def _refused(self, request: web.Request, reason: str, user_id: int | None = None) -> dict[str, object]:
        tell_refused(self._endpoint, request, reason, user_id)
        return {"status": FORBIDDEN}

    # Posts

    async def _post(self, request: web.Request, reply: Reply) -> int:
        query = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
        reference = self._tokens_of(request, query).reference
        if reference is None:
            return GONE
        try:
            async with asyncio.timeout(self._settings.longpoll_body_seconds):
                body = await _body(request, self._settings.max_message_bytes)
            if body is None:
                return TOO_LARGE
            frames = frames_of(request.content_type, body)
        except TimeoutError:
            return TIMED_OUT
        except (ConnectionError, HttpProcessingError, web.RequestPayloadError):
            # The body was cut off, or does not match its headers: aiohttp closes the connection, whatever the answer
            # is.
            return BAD_REQUEST
        status: int = await reply.after(self._holder(reference).post(reference.session_id, frames))
        return status

    # Both

    def _tokens_of(self, request: web.Request, query: list[tuple[str, str]]) -> _Tokens:
        in_query = [value for name, value in query if name == "token"]
        # phoenix.js sends the session's token in a header since 1.9, and in the query before. As in Phoenix, the query
        # does not count beside the header.
        session = request.headers.get(SESSION_TOKEN_HEADER, in_query[-1] if in_query else "")
        reference = self._tokens.read(session)
        if reference is None:
            session = ""
        jwt = request.headers.get(AUTH_TOKEN_HEADER)
        if jwt is None:
            others = [token for token in in_query if self._tokens.read(token) is None]
            jwt = others[-1] if others else ""
        return _Tokens(session, reference, jwt)

    def _holder(self, reference: SessionReference) -> Holder:
        if reference.node_id == self._endpoint.node_id:
            return self._sessions
        settings = self._settings
        return RemoteSessions(
            self._calls, reference.node_id, settings.longpoll_window_seconds, settings.node_call_seconds
        )


def _preflight(request: web.Request) -> web.Response:
    """Returns the answer to a CORS preflight. The request itself is checked again."""
    headers = dict(_PREFLIGHT_HEADERS)
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    if asked:
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
    return web.Response(headers=headers)


async def _body(request: web.Request, limit: int) -> bytes | None:
    """Returns the body; None if it is larger than `limit` bytes: the rest is then not read."""
    if (request.content_length or 0) > limit:
        return None
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
