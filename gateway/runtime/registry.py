"""Which members have joined which topics on this node. No I/O; knows no broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from gateway.runtime.broadcast import Broadcast
from gateway.runtime.callbacks import Notice

Key = TypeVar("Key")
Member = TypeVar("Member")


class Subscriber(Protocol):
    """A member of a topic on this node: all that the endpoint knows about a channel."""

    topic: str

    def __hash__(self) -> int: ...

    @property
    def watches_access(self) -> bool:
        """True if it gets notices."""

    @property
    def tracks_presence(self) -> bool:
        """True if it is told who is present."""

    def deliver_broadcast(self, broadcast: Broadcast) -> None:
        """Send or queue the broadcast before returning. Must not raise."""

    def notice(self, notice: Notice) -> None:
        """Take a notice. Must not raise."""


class Registry(Generic[Key, Member]):
    """The members of each key, in the order in which they were added. Keys without members do not exist."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[Key, dict[Member, None]] = {}

    def add(self, key: Key, member: Member) -> bool:
        """Add a member. Returns whether it is the first one of the key."""
        members = self._members.get(key)
        if members is None:
            self._members[key] = {member: None}
            return True
        members[member] = None
        return False

    def remove(self, key: Key, member: Member) -> bool:
        """Remove a member, if it is there. Returns whether it was the last one of the key."""
        members = self._members.get(key)
        if members is None or member not in members:
            return False
        del members[member]
        if members:
            return False
        del self._members[key]
        return True

    def members(self, key: Key) -> tuple[Member, ...]:
        """Returns the members of a key, as a copy: members may be added and removed during an iteration."""
        members = self._members.get(key)
        return tuple(members) if members else ()

    def __contains__(self, key: Key) -> bool:
        return key in self._members

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._members))

    def __len__(self) -> int:
        return len(self._members)
