"""A long-poll session: a connection whose client fetches frames by polls and sends frames by POSTs.

It lives on the node that opened it; requests reach it through this node or others. It knows no HTTP.

Frames wait in the outbox until a poll takes them. They are then in flight until the session learns whether they were
written to the poll's client. If they were not, they go back to the head of the outbox. In the meantime no later poll
gets the frames behind them.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from gateway.protocol.close_codes import BAD_FRAME, NOT_JOINED, NOT_POLLED, SLOW, Close
from gateway.protocol.messages import ERROR, PHOENIX_TOPIC, PHX_JOIN, BadFrame, Binary, Frame, Message
from gateway.protocol.serializer import Serializer
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.connection import Connection
from gateway.runtime.endpoint import Endpoint
from gateway.transports.fairness import in_turns
from gateway.transports.longpoll_body import ClientFrame
from gateway.transports.longpoll_token import new_session_id
from shared.access.actor import Actor
from shared.logs import log_of

log = log_of(__name__)

OK = 200
NO_CONTENT = 204
BAD_REQUEST = 400
FORBIDDEN = 403
TIMED_OUT = 408
GONE = 410
TOO_LARGE = 413
TOO_MANY_REQUESTS = 429
FAILED = 500

REJOIN_SECONDS = 1.0
"""How long a session that replaces a lost one waits for its first join."""
OVERTAKEN_SECONDS = 2.0
"""For this long after its opening, a session may get a join that a later join of the topic has overtaken."""
MAX_WAITING_POSTS = 100
"""POSTs of one session that may wait for its busy channels; beyond that they are refused."""


class PollAnswer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The status is OK with messages, NO_CONTENT, GONE, or FAILED; after the last two, clients open a new session."""

    status: int
    messages: list[str] = []
    has_ended: bool = False
    """True if the status is GONE, but the session existed when the poll began."""


class _Poll:
    """A request that waits for messages. Its id is unique among the polls of all nodes."""

    __slots__ = ("answer", "id")

    def __init__(self, poll_id: str, answer: asyncio.Future[PollAnswer]) -> None:
        self.id = poll_id
        self.answer = answer


class _Batch(NamedTuple):
    """Messages that a poll took."""

    poll_id: str
    messages: list[str]
    bytes: int


class LongPollConnection(Connection):
    """One session, open from its creation until it is `gone`.

    A session that replaces a lost one ends if no join comes soon. phoenix.js before 1.8.5 believes that its channels
    are still joined in the new session, and would never get another message. When the session fails, phoenix.js opens
    another one and joins.
    """

    transport = "longpoll"

    __slots__ = (
        "_flushing",
        "_forget",
        "_has_to_join",
        "_in_flight",
        "_limit",
        "_loop",
        "_opened_at",
        "_outbox",
        "_outbox_bytes",
        "_poll",
        "_posting",
        "_unpolled_since",
        "_waiting_posts",
        "_window",
        "id",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        serializer: Serializer,
        actor: Actor,
        as_of: float,
        forget: Callable[[LongPollConnection], None],
        *,
        is_successor: bool = False,
    ) -> None:
        """`forget` is called when the session has ended. `is_successor`: the session replaces a lost one."""
        super().__init__(endpoint, serializer, actor, as_of)
        self.id = new_session_id()
        self._loop = asyncio.get_running_loop()
        self._window = endpoint.settings.longpoll_window_seconds
        self._limit = endpoint.settings.max_outbox_bytes
        self._outbox: list[str] = []
        self._outbox_bytes = 0
        self._in_flight: _Batch | None = None
        self._poll: _Poll | None = None
        self._flushing = False
        self._posting = asyncio.Lock()
        self._waiting_posts = 0
        self._forget = forget
        self._has_to_join = is_successor
        self._opened_at = self._unpolled_since = self._loop.time()
        endpoint.counts.longpolls += 1
        endpoint.connections.add(self)

    # From the channels

    def send(self, frame: Frame | None) -> None:
        if frame is None or self.gone:
            return
        if self._outbox_bytes + len(frame) > self._limit:
            self._flush()
        if self._outbox_bytes + len(frame) > self._limit and self._outbox:
            self.close(SLOW)
            return
        self._outbox.append(_text(frame))
        self._outbox_bytes += len(frame)
        self._flush_soon()

    def send_broadcast(self, broadcast: Broadcast) -> None:
        self.send(broadcast.frame(self.serializer))

    def close(self, close: Close) -> None:
        """A waiting poll gets the frames sent before, or GONE if there are none; without a poll they are lost."""
        if self.gone:
            return
        self.closes(close)
        self._flush()
        self.gone = True
        if self._poll is not None:
            self._answer(PollAnswer(GONE, has_ended=True))
        self._outbox.clear()
        self._in_flight = None
        self.resume()
        self._forget(self)
        # A callback of a channel may be calling this: end the channels after the callback has returned.
        self._loop.call_soon(self.dropped)

    def dropped(self) -> None:
        self.endpoint.counts.longpolls -= 1
        super().dropped()

    @property
    def outbox_bytes(self) -> int:
        return self._outbox_bytes + (self._in_flight.bytes if self._in_flight is not None else 0)

    def check(self, now: float) -> None:
        super().check(now)
        if now - self.last_polled() >= 1.5 * self._window:
            self.close(NOT_POLLED)

    # From the polls

    def last_polled(self) -> float:
        """Returns the loop time of the last poll; infinity while a poll waits."""
        return self._unpolled_since if self._poll is None else float("inf")

    async def poll(self, poll_id: str) -> PollAnswer:
        """Wait for messages for one window; NO_CONTENT if none come. A newer poll ends an older one with NO_CONTENT.

        Messages are in flight until `acknowledge` says whether the poll's client got them.
        """
        if self.gone:
            return PollAnswer(GONE)
        if self._poll is not None:
            self._answer(PollAnswer(NO_CONTENT))
        poll = self._poll = _Poll(poll_id, self._loop.create_future())
        if self._in_flight is not None:
            # The client polls again, so it has finished the earlier poll. Its `acknowledge` should be on its way.
            self._loop.call_later(
                self.endpoint.settings.node_call_seconds, self.acknowledge, self._in_flight.poll_id, False
            )
        self._flush()
        if self._has_to_join:
            window = self._loop.call_later(min(REJOIN_SECONDS, self._window), self._fail, poll_id)
        else:
            window = self._loop.call_later(self._window, self._withdraw, poll_id)
        try:
            return await poll.answer
        finally:
            window.cancel()
            self._withdraw(poll_id)

    def acknowledge(self, poll_id: str, delivered: bool) -> None:
        """Report whether the poll's messages were written to its client. A poll that still waits gets NO_CONTENT."""
        batch = self._in_flight
        if batch is not None and batch.poll_id == poll_id:
            self._in_flight = None
            if not delivered:
                self._outbox[:0] = batch.messages
                self._outbox_bytes += batch.bytes
            self._unpolled_since = self._loop.time()
            self._flush_soon()
        else:
            self._withdraw(poll_id)

    def _withdraw(self, poll_id: str) -> None:
        if self._poll is not None and self._poll.id == poll_id:
            self._answer(PollAnswer(NO_CONTENT))

    def _fail(self, poll_id: str) -> None:
        """If the client has joined nothing, end the session, so that the client opens another; else end the poll."""
        if self._has_to_join and self._poll is not None and self._poll.id == poll_id:
            self._answer(PollAnswer(FAILED))
            self.close(NOT_JOINED)
        else:
            self._withdraw(poll_id)

    def _answer(self, answer: PollAnswer) -> None:
        poll, self._poll = self._poll, None
        if poll is not None and not poll.answer.done():
            poll.answer.set_result(answer)
        self._unpolled_since = self._loop.time()

    def _flush_soon(self) -> None:
        """Answer the poll at the end of this turn of the loop, with all frames of the turn."""
        if self._poll is not None and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        poll = self._poll
        if poll is None or poll.answer.done() or not self._outbox or self._in_flight is not None:
            return
        self._in_flight = _Batch(poll.id, self._outbox, self._outbox_bytes)
        self._outbox, self._outbox_bytes = [], 0
        self.endpoint.counts.frames_out += len(self._in_flight.messages)
        self._answer(PollAnswer(OK, self._in_flight.messages))

    # From the POSTs

    async def post(self, frames: list[ClientFrame]) -> int:
        """Handle the frames in order, after those of earlier POSTs: all of them, or none if one is bad.

        Returns OK; GONE; BAD_REQUEST for a frame that cannot be decoded, which ends the session; TIMED_OUT if the
        channels were too busy for a whole window (the frames before that are handled); or TOO_MANY_REQUESTS, at once,
        if too many POSTs are waiting.
        """
        if self._waiting_posts >= MAX_WAITING_POSTS:
            return TOO_MANY_REQUESTS
        self._waiting_posts += 1
        try:
            async with asyncio.timeout(self._window), self._posting:
                await self.decongested()
                self.allowance.left -= sum(len(frame.data) + self.allowance.per_frame for frame in frames)
                if self.endpoint.tracing is not None:
                    self.traceparent = self.endpoint.tracing.traceparent()
                return await self._handle_all(frames)
        except TimeoutError:
            return GONE if self.gone else TIMED_OUT
        finally:
            self._waiting_posts -= 1

    async def _handle_all(self, frames: list[ClientFrame]) -> int:
        if self.gone:
            return GONE
        self.endpoint.counts.frames_in += len(frames)
        try:
            messages = [self._decode(frame) async for frame in in_turns(frames)]
        except BadFrame as error:
            # The frame is not logged: it is the client's private data.
            log.info("bad frame", **self.log_fields, error=type(error).__name__)
            self.close(BAD_FRAME)
            return BAD_REQUEST
        if self._has_to_join and messages:
            self._has_to_join = not any(message.event == PHX_JOIN for message in messages)
            if self._has_to_join and any(message.topic != PHOENIX_TOPIC for message in messages):
                # The push is for a channel of the lost session, which the client believes to be joined.
                self.close(NOT_JOINED)
                return GONE
        async for message in in_turns(messages):
            if self.is_congested:
                await self.decongested()
            self._handle(message)
        return OK

    def _handle(self, message: Message) -> None:
        # An earlier frame of the same POST may have ended the session.
        if self.gone:
            return
        if message.event == PHX_JOIN and self._is_overtaken(message):
            response = {"reason": "overtaken"}
            self.send(self.serializer.reply(message.join_ref, message.ref, message.topic, ERROR, response))
        else:
            self.handle(message)

    def _is_overtaken(self, message: Message) -> bool:
        """True if the client sent this join before the join of the topic that has already arrived.

        phoenix.js up to 1.6 sends each frame in its own POST. When it connects, it sends all waiting frames at once: a
        join that it has given up and the join that replaces it, and either may arrive first.
        """
        if type(message.topic) is not str or self._loop.time() - self._opened_at > OVERTAKEN_SECONDS:
            return False
        joined = self.session.topics.get(message.topic)
        if joined is None or message.ref != message.join_ref:
            return False
        earlier, later = message.join_ref, joined.sent_join_ref
        return _is_number(earlier) and _is_number(later) and int(earlier) < int(later)

    def _decode(self, frame: ClientFrame) -> Message:
        if frame.is_binary:
            return self.serializer.decode_binary(frame.binary())
        return self.serializer.decode_text(frame.data)


def _is_number(ref: Any) -> bool:
    """True if the ref is a number in a string, as in phoenix.js."""
    return type(ref) is str and ref.isascii() and ref.isdecimal() and len(ref) < 20


def _text(frame: Frame) -> str:
    """Returns the frame for a poll's answer: text unchanged, binary in base64, as clients send it."""
    if type(frame) is Binary:
        return base64.b64encode(frame).decode()
    return frame.decode()
