"""The callbacks of a channel and their results: all that the runtime knows about a channel.

Channels derive from gateway/channel.py, which adds what a channel can do.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import msgspec


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An answer to one push: a status, and a response that is any JSON value, or `bytes` for a binary answer."""

    status: str
    response: Any = {}


class Ok(msgspec.Struct, frozen=True, gc=False):
    """Accepts a join, or answers a push with status `ok`."""

    response: Any = {}
    status: ClassVar[str] = "ok"


class Error(msgspec.Struct, frozen=True, gc=False):
    """Refuses a join, or answers a push with status `error`. The response is usually `{"reason": ...}`."""

    response: Any = {}
    status: ClassVar[str] = "error"


class Stop(msgspec.Struct, frozen=True, gc=False):
    """Ends the channel; the reply, if any, is sent first.

    After the reasons `normal` and `shutdown` the client gets `phx_close` and does not join again by itself; after any
    other reason it gets `phx_error` and joins again.
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
    """Tells channels with `watches_access` about an event that may end their users' access."""

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
    """A callback returned a value of a wrong type. The text lists the right types."""


class NotSubscribed(Exception):
    """The broker did not confirm a subscription in time. A join that does not catch it is refused with `try again`."""


class SocketRef(msgspec.Struct, frozen=True, gc=False):
    """Identifies a push, so that it can be answered after `handle_in` has returned."""

    join_ref: Any
    ref: Any
    topic: str


class Callbacks:
    """The callbacks of a channel run one at a time, in the order of their causes. A callback that raises ends it."""

    __slots__ = ("_server", "params")

    intercepts: ClassVar[frozenset[str]] = frozenset()
    """Broadcast events that go to `handle_out` instead of straight to the client."""
    looks_again_at: ClassVar[frozenset[str]] = frozenset()
    """Intercepted events after which `look` and `judge` decide again who may stay; `handle_out` is not called."""
    watches_access: ClassVar[bool] = False
    """True if Notices that concern this channel also make `look` and `judge` decide again."""
    tracks_presence: ClassVar[bool] = False
    """True if members of the topic are told who is present; required for `track` and `list_presence`."""

    def __init__(self, server: Any, params: Any) -> None:
        """`server` is the ChannelServer that calls the callbacks."""
        self._server = server
        self.params = params
        """The payload of the join: any JSON value, unchecked."""

    async def join(self, topic: str, params: Any) -> JoinResult:
        """Accept with `Ok(response)` or refuse with `Error(response)`.

        `join` cannot push. To push right after the join's reply, call `self.send_info(...)`, and push in `handle_info`.
        """
        raise NotImplementedError(f"{type(self).__name__}.join")

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        """Handle a push from the client. Return None for no reply. Check event and payload: the client chose them."""
        raise UnknownEvent(event)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        """Handle a broadcast of an intercepted event before it reaches this client: push it, changed or not, or drop
        it."""
        raise NotImplementedError(f"{type(self).__name__}.handle_out")

    async def handle_info(self, message: Any) -> InfoResult:
        """Handle a message from inside the server to this channel."""
        raise NotImplementedError(f"{type(self).__name__}.handle_info({message!r})")

    def reads_again(self, notice: Notice) -> bool:
        """True if `handle_info` has to get the notice, because what the channel has read may be different now.

        Also called while `join` runs; `handle_info` then follows the join. Only with `watches_access`.
        """
        return False

    # Callbacks that decide who may stay. No broadcast reaches the client between the cause of a look-up and its end.

    def concerns(self, notice: Notice) -> bool:
        """True if the notice may change who may stay in this channel."""
        return True

    @classmethod
    async def look(cls, topic: str, context: Any) -> Any:
        """Look up what `judge` needs to decide about the members of a topic. Runs once for all members on a node.

        Returns the result, or a Stop, which ends the channels of all of them.
        """
        raise NotImplementedError(f"{cls.__name__}.look")

    def judge(self, found: Any) -> InfoResult:
        """Decide from what `look` returned: `None` lets this user stay, a Stop ends the channel."""
        raise NotImplementedError(f"{type(self).__name__}.judge")

    async def terminate(self, reason: str) -> None:
        """The last callback. The reason is LEFT, CLOSED, DUPLICATE_JOIN, CRASHED, or that of a Stop."""
