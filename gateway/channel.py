"""The base class that channels are written against, with Phoenix's words.

    class Room(Channel):
        intercepts = frozenset({"masked"})

        async def join(self, topic, params):
            return Ok({"members": 3})

        async def handle_in(self, event, payload):
            match event:
                case "shout":
                    await self.broadcast("shout", payload)
                    return Ok()
                case _:
                    return await super().handle_in(event, payload)

A channel lives from its join to its end, for one topic of one connection. Its callbacks run one at a time, in the
order in which their causes arrived; callbacks of different channels do not wait for each other. A callback that raises
ends the channel: the client is told (`phx_error`) and may join again; nothing else is disturbed.

A channel knows nothing of frames, transports or Redis: all that it can reach is its `socket`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Protocol

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
    """What `handle_info` of a channel with `watches_access` gets: something happened that may end its user's access."""

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


class Socket(Protocol):
    """What a channel can reach. One for each channel; the runtime implements it."""

    topic: str
    join_ref: Any

    @property
    def identity(self) -> Any:
        """Who connected, as the transport's authentication found."""

    @property
    def context(self) -> Any:
        """What the application gives to all channels: its repositories and the like."""

    def push(self, event: str, payload: Any) -> None: ...
    def reply(self, ref: SocketRef, reply: Ok | Error | Reply) -> None: ...
    def socket_ref(self) -> SocketRef: ...
    def broadcast(self, topic: str, event: str, payload: Any) -> None: ...
    def broadcast_to_all(self, topics: Iterable[str], event: str, payload: Any) -> None: ...
    def broadcast_from(self, topic: str, event: str, payload: Any) -> None: ...
    def send_info(self, message: Any) -> None: ...
    def renew(self, identity: Any) -> None: ...
    def disconnect(self, user_id: int) -> None: ...
    async def subscribe(self) -> None: ...
    async def track(self, key: str, meta: dict[str, Any]) -> None: ...
    async def update_presence(self, key: str, meta: dict[str, Any]) -> None: ...
    async def untrack(self, key: str) -> None: ...
    async def list_presence(self) -> dict[str, Any]: ...


class Channel:
    """Override the callbacks; call the rest."""

    __slots__ = ("__dict__", "params", "socket")

    intercepts: ClassVar[frozenset[str]] = frozenset()
    """Broadcast events that go through `handle_out` instead of straight to the client."""

    watches_access: ClassVar[bool] = False
    """Whether `handle_info` wants a Notice, to look again at whether its user may stay."""
    tracks_presence: ClassVar[bool] = False
    """Whether members of the topic are told who is present in it; needed for `track` and `list_presence`."""

    def __init__(self, socket: Socket, params: Any) -> None:
        self.socket = socket
        self.params = params
        """The payload of the join, any JSON value; nothing about it is checked yet."""

    @property
    def topic(self) -> str:
        return self.socket.topic

    # Callbacks

    async def join(self, topic: str, params: Any) -> JoinResult:
        """Accept with `Ok(response)` or refuse with `Error(response)`.

        Nothing can be pushed yet. What is to follow the join's reply begins with `self.send_info(...)`.
        """
        raise NotImplementedError(f"{type(self).__name__}.join")

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        """One push of the client. `None` sends no reply. Events and payloads are the client's: check them."""
        raise UnknownEvent(event)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        """One broadcast of an intercepted event, on its way to this client; push it or leave it."""
        self.push(event, payload)
        return None

    async def handle_info(self, message: Any) -> InfoResult:
        """Anything sent to this channel from inside the server."""
        raise NotImplementedError(f"{type(self).__name__}.handle_info({message!r})")

    async def terminate(self, reason: str) -> None:
        """The channel ends: LEFT, CLOSED, DUPLICATE_JOIN, CRASHED, or the reason of its Stop. The last callback."""

    # What a channel can do

    def push(self, event: str, payload: Any) -> None:
        """Send an event to this client. Raises in `join`, where the client would not know the channel yet."""
        self.socket.push(event, payload)

    async def broadcast(self, event: str, payload: Any) -> None:
        """Send an event to everyone who joined this topic, on every node; members on this node have it on return."""
        self.socket.broadcast(self.socket.topic, event, payload)

    async def broadcast_from(self, event: str, payload: Any) -> None:
        """As broadcast, but not to this client."""
        self.socket.broadcast_from(self.socket.topic, event, payload)

    async def broadcast_to(self, topic: str, event: str, payload: Any) -> None:
        """As broadcast, to any topic."""
        self.socket.broadcast(topic, event, payload)

    async def broadcast_to_all(self, topics: Iterable[str], event: str, payload: Any) -> None:
        """As broadcast, to each of several topics; the payload is encoded once."""
        self.socket.broadcast_to_all(topics, event, payload)

    def socket_ref(self) -> SocketRef:
        """Names the push that `handle_in` is handling, for `reply` later on. Raises outside of `handle_in`.

        Raises NoRef for a push without a ref.
        """
        return self.socket.socket_ref()

    def reply(self, ref: SocketRef, reply: Ok | Error | Reply) -> None:
        """Answer a push now, from anywhere; once for each ref, and `handle_in` has returned None for it."""
        self.socket.reply(ref, reply)

    def send_info(self, message: Any) -> None:
        """Have `handle_info` called with the message, after what is under way; from `join`: after its reply."""
        self.socket.send_info(message)

    async def subscribe(self) -> None:
        """Receive broadcasts from now on, in `join` already: they are held back until the join's reply is sent.

        For a join that reads what was missed before: what happens between the reading and the reply is not lost.
        Raises NotSubscribed.
        """
        await self.socket.subscribe()

    def disconnect(self, user_id: int) -> None:
        """Close all connections of a user, on every node."""
        self.socket.disconnect(user_id)

    # Presence

    async def track(self, key: str, meta: dict[str, Any]) -> None:
        """Show `key` as present on this topic, with `meta`, until it is untracked or this channel ends."""
        await self.socket.track(key, meta)

    async def update_presence(self, key: str, meta: dict[str, Any]) -> None:
        """Replace the meta of a key that this channel tracks. Raises LookupError for one that it does not."""
        await self.socket.update_presence(key, meta)

    async def untrack(self, key: str) -> None:
        """Take back a track; a key that is not tracked is no error."""
        await self.socket.untrack(key)

    async def list_presence(self) -> dict[str, Any]:
        """Who is present on this topic, on all nodes: `{key: {"metas": [{"phx_ref": ..., ...}]}}`."""
        return await self.socket.list_presence()
