"""The session of one connection: which topics are joined with which refs, and the action that a message causes.

Pure: the session decides and never acts. A message goes in, an action comes out. The caller carries the action out and
reports its end to the session; the session then returns the messages that waited for it.

A topic is in one of these states:

    state      phx_join   phx_leave   other
    absent     Join       Answer      Answer (unmatched topic)
    joining    waits      waits       waits
    joined     Replace    Leave       Deliver
    leaving    waits      waits       waits

A message for a joined topic is ignored unless it has the join_ref of that join, or none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec

from gateway.protocol.messages import (
    ERROR,
    HEARTBEAT,
    OK,
    PHOENIX_TOPIC,
    PHX_JOIN,
    PHX_LEAVE,
    TOO_MANY_CHANNELS,
    UNMATCHED_TOPIC,
    Message,
)

Route = TypeVar("Route")


class State(Enum):
    """The state of a joined topic; a topic that is not joined has none."""

    JOINING = "joining"
    JOINED = "joined"
    LEAVING = "leaving"


class Joined(Generic[Route]):
    """One join of one topic, from its `phx_join` until its channel is gone."""

    __slots__ = ("join_ref", "route", "sent_join_ref", "server", "state", "topic", "waiting")

    def __init__(self, topic: str, sent_join_ref: Any, ref: Any, route: Route) -> None:
        self.topic = topic
        self.sent_join_ref = sent_join_ref
        """The join_ref of the join message. Later messages must match it; `phx_close` and `phx_error` have it."""
        self.join_ref = ref if sent_join_ref is None or sent_join_ref is False else sent_join_ref
        """The join_ref of replies and pushes: the one of the join message, or the join's ref if that has none. False is
        none as well, as in Elixir."""
        self.route = route
        self.state = State.JOINING
        self.waiting: deque[Message] | None = None
        """Messages that arrived while the topic was joining or leaving, in order."""
        self.server: Any = None
        """The runtime's ChannelServer for this join, while it runs."""


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Pass the message to the channel."""

    joined: Joined[Any]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Reply at once, without a channel."""

    join_ref: Any
    ref: Any
    topic: Any
    status: str
    response: dict[str, Any]


class Join(msgspec.Struct, frozen=True, gc=False):
    """Start the channel. Call `joined` when the channel has accepted the join, `closed` when it has refused."""

    joined: Joined[Any]


class Replace(msgspec.Struct, frozen=True, gc=False):
    """End the channel of the earlier join of the topic, then act as for a Join, then close the earlier join."""

    earlier: Joined[Any]
    joined: Joined[Any]


class Leave(msgspec.Struct, frozen=True, gc=False):
    """Let the channel handle its earlier messages, reply, and end the channel. Then call `closed`."""

    joined: Joined[Any]


class Ignore(msgspec.Struct, frozen=True, gc=False):
    """Do nothing: the message belongs to a join that has ended."""


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Do nothing: the session keeps the message, and returns it when the topic's state has changed."""


Action = Deliver | Answer | Join | Replace | Leave | Ignore | Wait

_IGNORE, _WAIT = Ignore(), Wait()
_NONE_WAITING: tuple[Message, ...] = ()


class Session(Generic[Route]):
    """The joined topics of one connection.

    `route_of` returns the channel class for a topic, or None. `max_channels` bounds the topics that are joined, joining
    or leaving at the same time.
    """

    __slots__ = ("_max_channels", "_route_of", "topics")

    def __init__(self, route_of: Callable[[str], Route | None], max_channels: int) -> None:
        self._route_of = route_of
        self._max_channels = max_channels
        self.topics: dict[str, Joined[Route]] = {}

    def receive(self, message: Message) -> Action:
        """Returns the action that the message causes. Never raises, whatever the message contains."""
        topic, event = message.topic, message.event
        joined = self.topics.get(topic) if type(topic) is str else None
        if joined is None:
            return self._receive_unjoined(message)
        if joined.state is not State.JOINED:
            if joined.waiting is None:
                joined.waiting = deque()
            joined.waiting.append(message)
            return _WAIT
        if event == PHX_JOIN:
            return self._replace(joined, message)
        if message.join_ref is not None and not same_ref(message.join_ref, joined.sent_join_ref):
            return _IGNORE
        if event == PHX_LEAVE:
            joined.state = State.LEAVING
            return Leave(joined)
        return Deliver(joined)

    def _receive_unjoined(self, message: Message) -> Action:
        topic, event = message.topic, message.event
        if topic == PHOENIX_TOPIC and event == HEARTBEAT:
            return Answer(None, message.ref, topic, OK, {})
        if event == PHX_LEAVE:
            return Answer(message.join_ref, message.ref, topic, OK, {})
        route = self._route_of(topic) if event == PHX_JOIN and type(topic) is str else None
        if route is None:
            return Answer(None, message.ref, topic, ERROR, UNMATCHED_TOPIC)
        if len(self.topics) >= self._max_channels:
            return Answer(message.join_ref, message.ref, topic, ERROR, TOO_MANY_CHANNELS)
        joined = self.topics[topic] = Joined(topic, message.join_ref, message.ref, route)
        return Join(joined)

    def _replace(self, earlier: Joined[Route], message: Message) -> Action:
        joined = Joined(earlier.topic, message.join_ref, message.ref, earlier.route)
        self.topics[earlier.topic] = joined
        return Replace(earlier, joined)

    def joined(self, joined: Joined[Route]) -> tuple[Message, ...]:
        """The channel has accepted the join. Returns the messages that waited; `receive` them again in this order."""
        joined.state = State.JOINED
        return self._released(joined)

    def closed(self, joined: Joined[Route]) -> tuple[Message, ...]:
        """The channel is gone, or its join failed. Returns the messages that waited; `receive` them again in order."""
        if self.topics.get(joined.topic) is joined:
            del self.topics[joined.topic]
        return self._released(joined)

    def keep_waiting(self, messages: tuple[Message, ...], start: int) -> bool:
        """True if the topic is joining or leaving again, so that its messages from `start` on wait again.

        It has the effect of receiving each of the messages, at the cost of receiving one.
        """
        joined = self.topics.get(messages[start].topic)
        if joined is None or joined.state is State.JOINED:
            return False
        if joined.waiting is None:
            joined.waiting = deque()
        joined.waiting.extend(messages[start:])
        return True

    def _released(self, joined: Joined[Route]) -> tuple[Message, ...]:
        if joined.waiting is None:
            return _NONE_WAITING
        waiting, joined.waiting = tuple(joined.waiting), None
        return waiting


def same_ref(one: Any, other: Any) -> bool:
    """True if two refs are equal as JSON values: 1, 1.0 and true differ from each other."""
    return one == other and type(one) is type(other)
