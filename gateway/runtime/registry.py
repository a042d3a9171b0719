"""Which members have joined which topics on this node. No I/O, and no knowledge of the broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from gateway.runtime.broadcast import Broadcast
from gateway.runtime.callbacks import Notice

Key = TypeVar("Key")
Member = TypeVar("Member")


class Subscriber(Protocol):
    """A member of a topic on this node: all that the endpoint knows of a channel."""

    topic: str

    def __hash__(self) -> int: ...

    @property
    def watches_access(self) -> bool:
        """Whether it gets notices."""

    @property
    def tracks_presence(self) -> bool:
        """Whether it is told who is present."""

    def deliver_broadcast(self, broadcast: Broadcast) -> None:
        """Send or queue the broadcast before this returns. Must not raise."""

    def notice(self, notice: Notice) -> None:
        """Take a notice. Must not raise."""


class Registry(Generic[Key, Member]):
    """The members of each key, in the order in which they were added. A key exists as long as it has members."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[Key, dict[Member, None]] = {}

    def add(self, key: Key, member: Member) -> bool:
        """Add a member. Returns whether it is the first of its key."""
        members = self._members.get(key)
        if members is None:
            self._members[key] = {member: None}
            return True
        members[member] = None
        return False

    def remove(self, key: Key, member: Member) -> bool:
        """Remove a member, if it is there. Returns whether it was the last of its key."""
        members = self._members.get(key)
        if members is None or member not in members:
            return False
        del members[member]
        if members:
            return False
        del self._members[key]
        return True

    def members(self, key: Key) -> tuple[Member, ...]:
        """The members of a key. It is a copy, so members may be added and removed during an iteration."""
        members = self._members.get(key)
        return tuple(members) if members else ()

    def __contains__(self, key: Key) -> bool:
        return key in self._members

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._members))

    def __len__(self) -> int:
        return len(self._members)
