"""Who joined what on this node. No I/O, and no knowledge of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from gateway.runtime.broadcast import Broadcast
from gateway.runtime.callbacks import Notice

Key = TypeVar("Key")
Member = TypeVar("Member")


class Subscriber(Protocol):
    """A member of a topic on this node, and all that is known of it."""

    topic: str

    def __hash__(self) -> int: ...

    @property
    def watches_access(self) -> bool:
        """Whether it takes notices."""

    @property
    def tracks_presence(self) -> bool:
        """Whether it is told who is present."""

    def deliver_broadcast(self, broadcast: Broadcast) -> None:
        """Queued when this returns. Must not raise."""

    def notice(self, notice: Notice) -> None:
        """Must not raise."""


class Registry(Generic[Key, Member]):
    """Members by key, in the order in which they came. A key is there as long as it has members."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[Key, dict[Member, None]] = {}

    def add(self, key: Key, member: Member) -> bool:
        """Whether the member is the first."""
        members = self._members.get(key)
        if members is None:
            self._members[key] = {member: None}
            return True
        members[member] = None
        return False

    def remove(self, key: Key, member: Member) -> bool:
        """Whether the member was the last; a member that is not there is no error."""
        members = self._members.get(key)
        if members is None or member not in members:
            return False
        del members[member]
        if members:
            return False
        del self._members[key]
        return True

    def members(self, key: Key) -> tuple[Member, ...]:
        """A copy: whoever goes through it may add and remove."""
        members = self._members.get(key)
        return tuple(members) if members else ()

    def __contains__(self, key: Key) -> bool:
        return key in self._members

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._members))

    def __len__(self) -> int:
        return len(self._members)
