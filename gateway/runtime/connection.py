"""A client's connection over any transport: passes messages to the session, carries out its actions, sends frames.

Each transport has a subclass, which knows how bytes are sent and how a connection closes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from gateway.protocol.close_codes import DEEP_REFS, SLOW, TOKEN_EXPIRED, TOO_MANY_CRASHES, Close
from gateway.protocol.messages import ERROR, PHX_CLOSE, TOO_MANY_REQUESTS, Frame, Message, UnencodableReply
from gateway.protocol.serializer import Serializer
from gateway.protocol.session import Answer, Deliver, Join, Joined, Leave, Replace, Session, Wait
from gateway.runtime.allowance import LONGEST_WAIT_SECONDS
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.callbacks import CLOSED, DUPLICATE_JOIN, Notice
from gateway.runtime.channel_server import ChannelServer
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.logs import log_of
from shared.security_events import SecurityEvent

log = log_of(__name__)


class Connection:
    """`actor` is the user who connected; `as_of` is the loop time before the user was looked up.

    Bans and log-outs since `as_of` may have reached this node before the connection existed. `backlog` counts messages
    that wait for a busy channel. `allowance` is what the user may still send, from which the transport subtracts each
    frame that it reads. A transport stops reading while `is_congested`.
    """

    transport: ClassVar[str] = ""
    """How its client is connected: `websocket` or `longpoll`."""

    __slots__ = (
        "_resumed",
        "_successors",
        "actor",
        "allowance",
        "as_of",
        "backlog",
        "crashes",
        "endpoint",
        "gone",
        "number",
        "serializer",
        "session",
        "traceparent",
    )

    def __init__(self, endpoint: Endpoint, serializer: Serializer, actor: Actor, as_of: float) -> None:
        self.endpoint = endpoint
        self.number = endpoint.connections.next_number()
        self.serializer = serializer
        self.actor = actor
        self.as_of = as_of
        self.session = Session(endpoint.routes.match, endpoint.settings.max_channels_per_connection)
        self.allowance = endpoint.allowances.of(actor.user_id)
        self.allowance.connections += 1
        self.backlog = 0
        self.crashes = 0
        self.gone = False
        self.traceparent = ""
        """The place in a trace of what the client sends: that of its WebSocket's handshake, or of its last POST. Empty
        if there is none, or if this node makes no traces."""
        self._resumed: asyncio.Future[None] | None = None
        self._successors: list[Callable[[], None]] | None = None

    @property
    def log_fields(self) -> dict[str, Any]:
        """The fields of all log lines about this connection: its id, which is unique on its node, and its user."""
        return {"connection_id": f"{self.endpoint.node_id}-{self.number}", "user_id": self.actor.user_id}

    def tell(self, event: SecurityEvent, **what: object) -> None:
        """Tell the operator what this connection's user has done."""
        self.endpoint.security_events.tell(event, self.log_fields, what)

    # For the transport to implement

    def send(self, frame: Frame | None) -> None:
        """Send a frame. Ignores None: this version cannot carry the message. Never waits, never raises."""
        raise NotImplementedError

    def send_broadcast(self, broadcast: Broadcast) -> None:
        """Send a frame that many clients get."""
        raise NotImplementedError

    def close(self, close: Close) -> None:
        """Close the connection, after the frames sent before. Returns at once; only the first close counts."""
        raise NotImplementedError

    @property
    def outbox_bytes(self) -> int:
        """Number of bytes that the client has not read yet."""
        raise NotImplementedError

    def closes(self, close: Close) -> None:
        """Log and count a close. The transport calls this when it closes the connection."""
        self.endpoint.counts.closed(close)
        if close is SLOW:
            log.info("slow client closed", **self.log_fields)

    def check(self, now: float) -> None:
        """Close if the connection is idle or its token has expired. Called about once a second with the loop time."""
        # What a user does not use while the allowance is full is not for later.
        self.allowance.seconds()
        if self.actor.token_expires_at <= time.time():
            self.close(TOKEN_EXPIRED)

    # From the transport

    def handle(self, message: Message) -> None:
        """Carry out the action that the message causes."""
        action = self.session.receive(message)
        if type(action) is Deliver:
            action.joined.server.deliver(message)
        elif type(action) is Answer:
            self.answer(action.join_ref, action.ref, action.topic, action.status, action.response)
        elif type(action) is Join:
            self._join(action.joined, message, None)
        elif type(action) is Replace:
            then = partial(self._join, action.joined, message)
            action.earlier.server.shut_down(DUPLICATE_JOIN, then)
        elif type(action) is Leave:
            action.joined.server.leave(message)
        elif type(action) is Wait:
            self.backlog += 1

    def dropped(self) -> None:
        """The connection is gone: end all channels. Call this once."""
        self.gone = True
        self.allowance.connections -= 1
        self.endpoint.connections.remove(self)
        for joined in list(self.session.topics.values()):
            if joined.server is not None:
                joined.server.shut_down(CLOSED)

    def notice(self, notice: Notice) -> None:
        """Tell the channels that watch access about an event that may end it."""
        for joined in list(self.session.topics.values()):
            if joined.server is not None and joined.route.watches_access:
                joined.server.notice(notice)

    def hold(self) -> list[Callable[[], None]]:
        """Hold broadcasts in the channels that watch access.

        Returns a function for each of these channels, to call when the user has been looked up. The channel then looks
        up whether the user may stay in it, and sends or drops what it holds.
        """
        servers = [joined.server for joined in self.session.topics.values() if joined.server is not None]
        return [server.hold() for server in servers if server.watches_access and not server.ended]

    @property
    def is_congested(self) -> bool:
        """True if the transport should stop reading: too many messages wait, or the user has sent too much."""
        return self.backlog >= self.endpoint.settings.max_backlog_messages or self.allowance.left < 0

    async def decongested(self) -> None:
        """Returns when the transport may continue to read."""
        if self.allowance.left < 0 and self.allowance.seconds():
            self.tell(SecurityEvent.LIMITED, limit="traffic")
        while self.is_congested and not self.gone:
            if self.allowance.left >= 0:
                await self._callback_ended()
            elif seconds := self.allowance.seconds():
                await asyncio.sleep(seconds)

    @property
    def is_busy(self) -> bool:
        """True while a callback of a channel is running."""
        return any(joined.server is not None and joined.server.is_busy for joined in self.session.topics.values())

    async def at_rest(self) -> None:
        """Returns when no callback of a channel is running."""
        while not self.gone and self.is_busy:
            await self._callback_ended()

    async def finish(self) -> None:
        """Handle no more messages from the client, and return when those that were handled have been answered."""
        await self.at_rest()

    async def _callback_ended(self) -> None:
        if self._resumed is None:
            self._resumed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._resumed)

    def resume(self) -> None:
        """Called when a callback that had to wait has ended."""
        if self._resumed is not None:
            self._resumed.set_result(None)
            self._resumed = None

    # From the channels

    def answer(self, join_ref: Any, ref: Any, topic: Any, status: str, response: Any) -> None:
        """Reply with a response of the server. If no frame can carry it, the client's refs are to blame: close."""
        try:
            frame = self.serializer.reply(join_ref, ref, topic, status, response)
        except UnencodableReply:
            self.close(DEEP_REFS)
        else:
            self.send(frame)

    def end(self, ref: Any, topic: str, event: str, payload: Any) -> None:
        """Tell the client that a channel has ended. Like in `answer`, refs that fit no frame close the connection."""
        try:
            frame = self.serializer.push(ref, ref, topic, event, payload)
        except UnencodableReply:
            self.close(DEEP_REFS)
        else:
            self.send(frame)

    def renew(self, actor: Actor, as_of: float) -> None:
        """Use the actor of a new token of the same user."""
        self.actor = actor
        self.as_of = as_of
        self.endpoint.connections.admitted(self)

    def _join(self, joined: Joined[Any], message: Message, replaced: Joined[Any] | None) -> None:
        """`replaced` is the earlier join of the topic, if its client does not know yet that it has ended."""
        if self.gone:
            self._receive_again(self.session.closed(joined))
            return
        may_join = self.endpoint.may_join
        limit = None
        # The answer to a join can be thousands of times as large as the join, and joins that have been read are many. A
        # user who has only just sent too much is read more slowly, and refused nothing.
        if self.allowance.left < 0 and self.allowance.seconds() >= LONGEST_WAIT_SECONDS:
            limit = "traffic"
        elif may_join is not None and not may_join(self.actor.user_id):
            limit = "joins"
        if limit is not None:
            self.tell(SecurityEvent.LIMITED, limit=limit)
            self.answer(joined.sent_join_ref, message.ref, joined.topic, ERROR, TOO_MANY_REQUESTS)
            if replaced is not None:
                self.end(replaced.sent_join_ref, joined.topic, PHX_CLOSE, {})
            self._receive_again(self.session.closed(joined))
            return
        server = ChannelServer(self, joined, message.payload, replaced)
        joined.server = server
        server.start(message)

    def crashed(self) -> None:
        """A callback of a channel has raised. A connection on which this happens too often is closed."""
        self.crashes += 1
        if self.crashes == self.endpoint.settings.max_crashes_per_connection:
            # Not now, because the channel is still ending, and the client gets the channel's last frames first.
            asyncio.get_running_loop().call_soon(self.close, TOO_MANY_CRASHES)

    def join_accepted(self, server: ChannelServer) -> None:
        """A channel has accepted its join: handle the messages that waited for it."""
        self._receive_again(self.session.joined(server.joined))

    def channel_ended(self, server: ChannelServer, unhandled: Iterable[Message]) -> None:
        """`unhandled` are messages that were in the channel's queue when it ended; they precede all that waited."""
        waiting = self.session.closed(server.joined)
        for message in unhandled:
            self.handle(message)
        self._receive_again(waiting)

    def take_over(self, successor: Callable[[], None]) -> None:
        """A channel has ended because of a second join of its topic; `successor` begins that join.

        Successors begin one after the other, not one inside the other. So even a whole backlog of joins of one topic
        that replace each other needs no deep recursion.
        """
        if self._successors is not None:
            self._successors.append(successor)
            return
        self._successors = [successor]
        try:
            for begin in self._successors:
                begin()
        finally:
            self._successors = None

    def _receive_again(self, messages: tuple[Message, ...]) -> None:
        for position, message in enumerate(messages):
            if self.session.keep_waiting(messages, position):
                return
            self.backlog -= 1
            self.handle(message)
