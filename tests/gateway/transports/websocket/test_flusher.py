"""When the frames of many connections are written: all in turn, in shares, and the loop does other work in between."""

from __future__ import annotations

import asyncio

import pytest

from gateway.transports.websocket import LEAST_AT_ONCE, Flusher
from tests.support.waiting import until

MANY = 10 * LEAST_AT_ONCE


class Member:
    """What the flusher knows of a connection. It notes how many frames each write has."""

    def __init__(self, flusher: Flusher) -> None:
        self._flusher = flusher
        self._frames = 0
        self.writes: list[int] = []

    def send(self) -> None:
        if not self._frames:
            self._flusher.add(self)
        self._frames += 1

    def flush(self) -> None:
        self.writes.append(self._frames)
        self._frames = 0


@pytest.fixture
async def members() -> list[Member]:
    flusher = Flusher(asyncio.get_running_loop())
    return [Member(flusher) for _ in range(MANY)]


def broadcast(members: list[Member]) -> None:
    for member in members:
        member.send()


async def test_who_still_waits_for_a_broadcast_has_the_next_one_in_the_same_write(members: list[Member]) -> None:
    broadcast(members)
    await asyncio.sleep(0)
    served = [member for member in members if member.writes]
    assert LEAST_AT_ONCE <= len(served) <= MANY // 2
    # In the order in which they began to wait.
    assert served == members[: len(served)]
    broadcast(members)
    await until(lambda: all(sum(member.writes) == 2 for member in members))
    assert all(member.writes == [1, 1] for member in served)
    assert all(member.writes == [2] for member in members[len(served) :])


async def test_few_connections_are_written_to_in_one_turn(members: list[Member]) -> None:
    few = members[:LEAST_AT_ONCE]
    broadcast(few)
    await asyncio.sleep(0)
    assert all(member.writes == [1] for member in few)


async def test_a_turn_comes_for_everyone_also_if_broadcasts_never_end(members: list[Member]) -> None:
    turns = 0
    while not all(member.writes for member in members):
        broadcast(members)
        await asyncio.sleep(0)
        turns += 1
    assert turns <= 16
