"""Runs one channel: decides which callback comes when, and acts on its result.

The counterpart of Phoenix.Channel.Server. callback_queue.py calls the callbacks one at a time. A server talks to the
client through the connection, of which it knows only what Host declares. gateway/channel.py has what a channel itself
can do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from gateway.protocol.messages import (
    CHANNEL_CRASH,
    ERROR,
    JOIN_CRASHED,
    PHX_CLOSE,
    PHX_ERROR,
    PHX_JOIN,
    TRY_AGAIN,
    UNMATCHED_TOPIC,
    Frame,
    Message,
)
from gateway.protocol.serializer import Serializer
from gateway.protocol.session import Joined, State
from gateway.runtime import event_lines
from gateway.runtime.allowance import Allowance
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.callback_queue import CallbackQueue, QueueHost
from gateway.runtime.callbacks import (
    CRASHED,
    LEFT,
    BadReturn,
    Callbacks,
    Error,
    NoRef,
    Notice,
    NotSubscribed,
    Ok,
    Reply,
    Stop,
    UnknownEvent,
)
from gateway.runtime.counts import BY_CLIENT, BY_PROGRAM, TIMED_EVERY, label_of
from gateway.runtime.stepping import Suspended
from shared.access.actor import Actor
from shared.logs import log_of
from shared.security_events import SecurityEvent

if TYPE_CHECKING:
    from shared.tracing.spans import Tracing

log = log_of(__name__)

_ORDERLY = ("normal", "shutdown")

Successor = Callable[[Joined[Any] | None], None]
"""Begins the join that replaces this one. The argument is this join if its client does not know of its end yet."""


class Host(QueueHost, Protocol):
    """The connection that a channel runs on."""

    serializer: Serializer
    actor: Actor
    allowance: Allowance
    traceparent: str

    @property
    def log_fields(self) -> dict[str, Any]: ...
    def send(self, frame: Frame | None) -> None: ...
    def send_broadcast(self, broadcast: Broadcast) -> None: ...
    def answer(self, join_ref: Any, ref: Any, topic: Any, status: str, response: Any) -> None: ...
    def end(self, ref: Any, topic: str, event: str, payload: Any) -> None: ...
    def renew(self, actor: Actor, as_of: float) -> None: ...
    def crashed(self) -> None: ...
    def tell(self, event: SecurityEvent, **what: object) -> None: ...
    def join_accepted(self, server: ChannelServer) -> None: ...
    def channel_ended(self, server: ChannelServer, unhandled: Iterable[Message]) -> None: ...
    def take_over(self, successor: Callable[[], None]) -> None: ...


class ChannelServer(CallbackQueue[Host]):
    """One join of one topic of one connection.

    `held` has the broadcasts that are kept back: between the subscription and the join's reply, and while the channel
    checks whether its user may have them. It is None while broadcasts go straight out.
    """

    __slots__ = (
        "__weakref__",
        "_also_subscribed",
        "_looks",
        "_message",
        "_subscribed",
        "_tells",
        "_then",
        "channel",
        "held",
        "intercepts",
        "join_ref",
        "joined",
        "replaced",
        "topic",
    )

    def __init__(
        self, connection: Host, joined: Joined[type[Callbacks]], params: Any, replaced: Joined[Any] | None
    ) -> None:
        super().__init__(connection)
        self.joined = joined
        self.topic = joined.topic
        self.join_ref = joined.join_ref
        self.replaced = replaced
        self.held: list[Broadcast] | None = []
        self.intercepts = joined.route.intercepts
        self.channel = joined.route(self, params)
        self._looks = 0
        self._message: Message | None = None
        self._subscribed = False
        self._tells = event_lines.are_shown()
        self._also_subscribed: str | None = None
        self._then: Successor | None = None

    # The causes of callbacks. Each callback runs at once, or after the current one.

    def start(self, message: Message) -> None:
        """Call `join`, the first callback."""
        self._busy = True
        joining, tracing = self._join(message.payload), self.connection.endpoint.tracing
        if tracing is not None:
            joining = self._traced(tracing, PHX_JOIN, joining)
        self._run(joining, partial(self._finish_join, perf_counter()), message)

    def deliver(self, message: Message) -> None:
        """Call `handle_in` with a push from the client."""
        if self._busy:
            self._queue(self.deliver, message)
            return
        self._busy = True
        self._message = message
        try:
            endpoint, handling = self.connection.endpoint, self.channel.handle_in(message.event, message.payload)
            counts = endpoint.counts
            number = counts.pushes = counts.pushes + 1
            if not number % TIMED_EVERY:
                handling = counts.timed(type(self.channel).__name__, message.event, handling)
            if endpoint.tracing is not None:
                handling = self._traced(endpoint.tracing, label_of(message.event), handling)
            result = endpoint.step(handling)
            if result is not None:
                if type(result) is Suspended:
                    result.task.add_done_callback(partial(self._resume, self._finish_handle_in, message))
                    return
                if not self._answered(message, result):
                    return
        except (Exception, asyncio.CancelledError) as error:
            self._crash(message, error)
            return
        self._busy = False
        if self._inbox:
            self._drain()

    def _traced(self, tracing: Tracing, event: str, handling: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """Returns the same work with a span."""
        channel = type(self.channel).__name__
        return tracing.push(channel, event, handling, UnknownEvent, self.connection.traceparent)

    def leave(self, message: Message) -> None:
        """Reply to the client's `phx_leave`, and end the channel."""
        if self._busy:
            self._queue(self.leave, message)
            return
        connection = self.connection
        connection.answer(self.join_ref, message.ref, self.topic, "ok", {})
        self._busy = True
        self._end(LEFT, PHX_CLOSE, {})

    def shut_down(self, reason: str, then: Successor | None = None) -> None:
        """End the channel without telling the client. Then call `then`, if given, which begins the next join."""
        if then is not None:
            self._then = then
        if self._busy:
            self._queue(self.shut_down, reason)
            return
        self._busy = True
        self._end(reason, None, None)

    def deliver_broadcast(self, broadcast: Broadcast) -> None:
        """Send a broadcast on the topic to the client, or give an intercepted one to `handle_out` or to a look-up."""
        if self.held is not None:
            self.held.append(broadcast)
        elif broadcast.event in self.intercepts:
            if broadcast.event in self.joined.route.looks_again_at:
                self._look_again()
            else:
                self._handle_out(broadcast)
        else:
            self.connection.send_broadcast(broadcast)

    def send_info(self, message: Any) -> None:
        """Call `handle_info` with the message."""
        if self._busy:
            self._queue(self.send_info, message)
            return
        self._busy = True
        self._message = None
        self._run(self.channel.handle_info(message), self._finish_info, message)

    def _handle_out(self, broadcast: Broadcast) -> None:
        if self._busy:
            self._queue(self._handle_out, broadcast)
            return
        self._busy = True
        self._message = None
        self._run(self.channel.handle_out(broadcast.event, broadcast.value()), self._finish_info, broadcast)

    # Look-ups: may the client still get the topic's broadcasts?

    def notice(self, notice: Notice) -> None:
        """An event may have ended the user's access, or changed what the channel has read: the channel says which."""
        if self.ended:
            return
        try:
            if self.channel.reads_again(notice):
                self.send_info(notice)
            # A channel that is still joining does not know yet whether it is concerned.
            is_concerned = self.joined.state is State.JOINING or self.channel.concerns(notice)
        except Exception as error:
            self._judge((None, error))
            return
        if is_concerned:
            self._look_again()

    def _look_again(self) -> None:
        """Hold broadcasts until a look-up has shown whether the user may stay."""
        self.hold()()

    def hold(self) -> Callable[[], None]:
        """Hold broadcasts. Returns a function that requests a look-up; after it, they are sent or dropped."""
        self._looks += 1
        if self.held is None:
            self.held = []
        return partial(self.connection.endpoint.looks.want, self)

    def look(self) -> Coroutine[Any, Any, Any]:
        """Returns the coroutine of the channel class's `look`."""
        return self.joined.route.look(self.topic, self.connection.endpoint.context)

    def looked(self, found: Any, error: BaseException | None) -> None:
        """Give the result of a look-up to `judge`."""
        self._judge((found, error))

    def _judge(self, look: tuple[Any, BaseException | None]) -> None:
        if self._busy:
            self._queue(self._judge, look)
            return
        self._busy = True
        self._message = None
        found, error = look
        result = None
        try:
            if error is None:
                self._looks -= 1
                result = found if type(found) is Stop else self.channel.judge(found)
                if result is None:
                    self._release_held()
        except Exception as raised:
            error = raised
        self._finish_info(look, result, error)

    def _release_held(self) -> None:
        """Send the held broadcasts in order, unless another look-up is still to come."""
        if self._looks:
            return
        held, self.held = self.held, None
        for broadcast in held or ():
            # A held broadcast may cause the next look-up: the broadcasts behind it are then held again.
            self.deliver_broadcast(broadcast)

    @property
    def watches_access(self) -> bool:
        """See Callbacks.watches_access."""
        return self.joined.route.watches_access

    @property
    def tracks_presence(self) -> bool:
        """See Callbacks.tracks_presence."""
        return self.joined.route.tracks_presence

    @property
    def handling(self) -> Message | None:
        """The push that `handle_in` is handling; None at other times."""
        return self._message if self._busy else None

    # How callbacks end

    async def _join(self, params: Any) -> Ok | Error:
        try:
            result = await self.channel.join(self.topic, params)
            if type(result) is not Ok and type(result) is not Error:
                raise BadReturn(f"join must return Ok(...) or Error(...), not {result!r}")
            if type(result) is Ok and not self._subscribed:
                await self.subscribe()
        except NotSubscribed:
            return Error(TRY_AGAIN)
        return result

    def _finish_join(self, started: float, message: Message, result: Any, error: BaseException | None) -> None:
        # There is no await between the subscription and this point, so the reply precedes every broadcast.
        if error is not None:
            self._log_crash("join", error)
            result = Error(JOIN_CRASHED)
        connection, serializer = self.connection, self.connection.serializer
        sent_join_ref = self.joined.sent_join_ref
        try:
            frame = serializer.reply(sent_join_ref, message.ref, self.topic, result.status, result.response)
        except ValueError as unencodable:
            self._log_crash("join", unencodable)
            result = Error(JOIN_CRASHED)
            connection.answer(sent_join_ref, message.ref, self.topic, result.status, result.response)
        else:
            connection.allowance.left -= len(frame or b"")
            connection.send(frame)
        labels = (type(self.channel).__name__, result.status)
        seconds = perf_counter() - started
        connection.endpoint.counts.joins.observe(labels, seconds)
        what = "joined" if type(result) is Ok else "join refused"
        event_lines.tell(what, connection, topic=self.topic, ms=round(1000 * seconds, 1))
        if self.replaced is not None:
            self._send_end(self.replaced, PHX_CLOSE, {})
            self.replaced = None
        if type(result) is not Ok:
            self._release()
            connection.channel_ended(self, ())
            return
        self._release_held()
        connection.join_accepted(self)
        self._idle()

    def _finish_handle_in(self, message: Message, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self._crash(message, error)
            return
        if self._tells:
            event_lines.tell("handled", self.connection, topic=self.topic, push=message.event)
        try:
            if result is not None and not self._answered(message, result):
                return
        except Exception as bad_result:
            self._crash(message, bad_result)
            return
        self._idle()

    def _answered(self, message: Message, result: Any) -> bool:
        """Act on the result of `handle_in`. Returns False if the channel ends."""
        kind = type(result)
        if kind is Ok or kind is Error or kind is Reply:
            connection = self.connection
            connection.send(
                connection.serializer.reply(self.join_ref, message.ref, self.topic, result.status, result.response)
            )
            return True
        if kind is not Stop:
            raise BadReturn(f"handle_in must return Ok, Error, Reply, Stop or None, not {result!r}")
        if result.reply is not None:
            if type(result.reply) not in (Ok, Error, Reply):
                raise BadReturn(f"the reply of a Stop must be Ok, Error, Reply or None, not {result.reply!r}")
            self._answered(message, result.reply)
        self._stop(result)
        return False

    def _finish_info(self, _cause: Any, result: Any, error: BaseException | None) -> None:
        if error is None and result is not None and type(result) is not Stop:
            error = BadReturn(f"handle_info, handle_out and judge must return Stop or None, not {result!r}")
        if error is not None:
            self._crash(None, error)
        elif result is not None:
            self._stop(result)
        else:
            self._idle()

    def _stop(self, stop: Stop) -> None:
        if stop.reason in _ORDERLY:
            self._end(stop.reason, PHX_CLOSE, {})
        else:
            self._end(stop.reason, PHX_ERROR, CHANNEL_CRASH)

    def _crash(self, message: Message | None, error: BaseException) -> None:
        self._log_crash("handle_in" if message is not None else "callback", error)
        self._end(CRASHED, PHX_ERROR, CHANNEL_CRASH)

    def _log_crash(self, callback: str, error: BaseException) -> None:
        channel = type(self.channel).__name__
        # Clients can cause these failures at will: log one line. Others are faults of the code: log the traceback.
        ours = None if isinstance(error, UnknownEvent | NoRef | asyncio.CancelledError) else error
        cause = BY_CLIENT if ours is None else BY_PROGRAM
        self.connection.endpoint.counts.channel_crashes.labels(channel, cause).inc()
        self.connection.crashed()
        log.warning(
            "channel crashed",
            exc_info=ours,
            **self.connection.log_fields,
            channel=channel,
            callback=callback,
            error=type(error).__name__,
        )

    def _end(self, reason: str, event: str | None, payload: Any) -> None:
        self._message = None
        self._run(self.channel.terminate(reason), self._finish_end, (event, payload))

    def _finish_end(self, last_word: tuple[str | None, Any], _result: Any, error: BaseException | None) -> None:
        if error is not None:
            self._log_crash("terminate", error)
        # Messages that arrived after the end are answered like messages to a topic that is not joined.
        unhandled = [argument for method, argument in self._queued() if method in (self.deliver, self.leave)]
        self._release()
        event, payload = last_word
        if event is not None:
            self._send_end(self.joined, event, payload)
        if self._then is not None:
            for message in unhandled:
                # For the session, the topic already belongs to the next join.
                self.connection.answer(None, message.ref, self.topic, ERROR, UNMATCHED_TOPIC)
            self.connection.take_over(partial(self._then, self.joined if event is None else None))
        else:
            self.connection.channel_ended(self, unhandled)

    def _send_end(self, joined: Joined[Any], event: str, payload: Any) -> None:
        ref = joined.sent_join_ref
        self.connection.end(ref, self.topic, event, payload)

    def _release(self) -> None:
        self._end_queue()
        if self._subscribed:
            self._subscribed = False
            self.connection.endpoint.unsubscribe(self)
        if self._also_subscribed is not None:
            self.connection.endpoint.broker.unsubscribe(self._also_subscribed)
            self._also_subscribed = None
        self.held = None
        # This breaks a reference cycle, which only the garbage collector would free. The channel keeps its reference to
        # this server, for calls that come too late: a push from a timer, for example.
        self.joined.server = None
        del self.channel

    async def subscribe(self) -> None:
        """Subscribe to the topic's broadcasts. Raises NotSubscribed."""
        if not self._subscribed:
            try:
                await self.connection.endpoint.subscribe(self)
            except TimeoutError as error:
                raise NotSubscribed from error
            self._subscribed = True

    async def subscribe_node(self, topic: str) -> None:
        """Subscribe this node to another topic, once, until this channel ends. Raises NotSubscribed."""
        if self._also_subscribed is None:
            try:
                await self.connection.endpoint.broker.subscribe(topic)
            except TimeoutError as error:
                raise NotSubscribed from error
            self._also_subscribed = topic
