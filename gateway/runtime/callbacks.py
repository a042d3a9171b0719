"""What a running channel is called with, and what it may answer: all that the runtime knows of a channel.

Channels are written against gateway/channel.py, which adds what they can do.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import msgspec


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An answer to one push: a status, and a response: any JSON value, or `bytes` for a binary answer."""

    status: str
    response: Any = {}


class Ok(msgspec.Struct, frozen=True, gc=False):
    """Accepts a join, or answers a push with status `ok`."""

    response: Any = {}
    status: ClassVar[str] = "ok"


class Error(msgspec.Struct, frozen=True, gc=False):
    """Refuses a join, or answers a push with status `error`; `{"reason": ...}` is the custom."""

    response: Any = {}
    status: ClassVar[str] = "error"


class Stop(msgspec.Struct, frozen=True, gc=False):
    """Ends the channel, after the reply if there is one.

    `normal` and `shutdown` close it (`phx_close`: the client does not join again by itself); any other reason is an
    error (`phx_error`: the client joins again).
    """

    reason: str = "normal"
    reply: Ok | Error | Reply | None = None


LEFT = "left"
"""The client left the topic."""
CLOSED = "closed"
"""The connection is gone."""
DUPLICATE_JOIN = "duplicate join"
"""The client joined the topic again, on the same connection."""
CRASHED = "crashed"
"""A callback raised."""


class Notice(NamedTuple):
    """For channels with `watches_access`: something happened that may end their users' access."""

    event: str
    """One of shared/events/control.py."""
    payload: dict[str, Any]


JoinResult = Ok | Error
HandleResult = Ok | Error | Reply | Stop | None
InfoResult = Stop | None


class UnknownEvent(Exception):
    """The channel has no handler for this event; the channel crashes, as in Phoenix."""


class NoRef(ValueError):
    """A push without a ref cannot be answered later; the channel crashes, as in Phoenix."""


class BadReturn(TypeError):
    """A callback returned what it must not; the text lists what it may."""


class NotSubscribed(Exception):
    """Redis did not confirm a subscription in time. A join that lets it through is refused with `try again`."""


class SocketRef(msgspec.Struct, frozen=True, gc=False):
    """Names one push, so that it can be answered after `handle_in` has returned."""

    join_ref: Any
    ref: Any
    topic: str


class Callbacks:
    """They are called one at a time, in the order in which their causes arrived. One that raises ends the channel."""

    __slots__ = ("_server", "params")

    intercepts: ClassVar[frozenset[str]] = frozenset()
    """Broadcast events that go through `handle_out` instead of straight to the client."""
    looks_again_at: ClassVar[frozenset[str]] = frozenset()
    """Those of the intercepted events at which it is looked again who may stay, instead of `handle_out`."""
    watches_access: ClassVar[bool] = False
    """Whether it is looked again at a Notice as well, if it concerns this channel."""
    tracks_presence: ClassVar[bool] = False
    """Whether members of the topic are told who is present in it; needed for `track` and `list_presence`."""

    def __init__(self, server: Any, params: Any) -> None:
        """`server` is the ChannelServer that calls."""
        self._server = server
        self.params = params
        """The payload of the join, any JSON value; nothing about it is checked yet."""

    async def join(self, topic: str, params: Any) -> JoinResult:
        """Accept with `Ok(response)` or refuse with `Error(response)`.

        Nothing can be pushed yet. What is to follow the join's reply begins with `self.send_info(...)`.
        """
        raise NotImplementedError(f"{type(self).__name__}.join")

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        """One push of the client. `None` sends no reply. Events and payloads are the client's: check them."""
        raise UnknownEvent(event)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        """One broadcast of an intercepted event, on its way to this client; push it, as by default, or leave it."""
        raise NotImplementedError(f"{type(self).__name__}.handle_out")

    async def handle_info(self, message: Any) -> InfoResult:
        """Anything sent to this channel from inside the server."""
        raise NotImplementedError(f"{type(self).__name__}.handle_info({message!r})")

    # Callbacks about who may stay. From the cause of a look to its end no broadcast reaches the client.

    def concerns(self, notice: Notice) -> bool:
        """Whether the notice is a reason to look again."""
        return True

    @classmethod
    async def look(cls, topic: str, context: Any) -> Any:
        """What decides about the members of a topic, for `judge`; or a Stop, which ends them all.

        Asked once for all of them on a node.
        """
        raise NotImplementedError(f"{cls.__name__}.look")

    def judge(self, found: Any) -> InfoResult:
        """Whether this user may stay, by what `look` found: `None`, or a Stop."""
        raise NotImplementedError(f"{type(self).__name__}.judge")

    async def terminate(self, reason: str) -> None:
        """The channel ends: LEFT, CLOSED, DUPLICATE_JOIN, CRASHED, or the reason of its Stop. The last callback."""
