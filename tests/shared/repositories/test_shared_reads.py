"""Shared reads: one read answers many callers, and no answer is older than its question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.postgres import DatabaseUnavailable
from shared.repositories.shared_reads import SharedReads


class Store:
    """Values that change. A read sees them at its start, and answers when the test lets it go on."""

    def __init__(self) -> None:
        self.values = {1: "a", 2: "b"}
        self.reads: list[list[int]] = []
        self.go_on = asyncio.Semaphore(0)
        self.failure: Exception | None = None

    async def read(self, keys: Sequence[int]) -> dict[int, str]:
        self.reads.append(list(keys))
        seen = {key: self.values[key] for key in keys if key in self.values}
        await self.go_on.acquire()
        if self.failure is not None:
            raise self.failure
        return seen


async def ticks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_while_a_read_runs_waits_for_the_next_and_shares_it() -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    first = asyncio.ensure_future(shared.get(1))
    await ticks()
    store.values[1] = "changed"
    later = [asyncio.ensure_future(shared.get(key)) for key in (1, 2, 1, 3, 1)]
    await ticks()
    assert store.reads == [[1]]
    store.go_on.release()
    assert await first == "a"
    store.go_on.release()
    assert await asyncio.gather(*later) == ["changed", "b", "changed", None, "changed"]
    assert store.reads == [[1], [1, 2, 3]]


async def test_no_more_keys_than_agreed_are_read_at_once() -> None:
    store = Store()
    shared = SharedReads(store.read, most=2)
    answers = [asyncio.ensure_future(shared.get(key)) for key in (1, 2, 3)]
    await ticks()
    store.go_on.release()
    store.go_on.release()
    await asyncio.gather(*answers)
    assert store.reads == [[1, 2], [3]]
    await shared.close()


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), ValueError("a mistake")])
async def test_a_failure_is_everyones_of_that_read_and_nobody_elses(failure: Exception) -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    answers = [asyncio.ensure_future(shared.get(key)) for key in (1, 1, 2)]
    await ticks()
    store.failure = failure
    store.go_on.release()
    for answer in answers:
        with pytest.raises(type(failure)):
            await answer
    store.failure = None
    store.go_on.release()
    assert await shared.get(1) == "a"


async def test_who_goes_away_takes_nobodys_answer_along() -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    gone, stays = asyncio.ensure_future(shared.get(1)), asyncio.ensure_future(shared.get(1))
    await ticks()
    gone.cancel()
    await ticks()
    store.go_on.release()
    assert await stays == "a"
    assert gone.cancelled()


async def test_who_asks_now_reads_alone_at_once_and_whoever_comes_meanwhile_shares_the_next() -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    first = asyncio.ensure_future(shared.get_now(1))
    await ticks()
    store.values[1] = "changed"
    later = [asyncio.ensure_future(ask(key)) for ask in (shared.get_now, shared.get) for key in (1, 2)]
    closing = asyncio.ensure_future(shared.close())
    await ticks()
    assert store.reads == [[1]]
    store.go_on.release()
    assert await first == "a"
    assert not closing.done()
    store.go_on.release()
    assert await asyncio.gather(*later) == ["changed", "b"] * 2
    assert store.reads == [[1], [1, 2]]
    await closing


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_whatever_ends_the_read_of_who_asked_now_the_others_are_answered(is_cancelled: bool) -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    store.failure = DatabaseUnavailable("away")
    first = asyncio.ensure_future(shared.get_now(1))
    await ticks()
    other = asyncio.ensure_future(shared.get_now(2))
    await ticks()
    if is_cancelled:
        first.cancel()
    else:
        store.go_on.release()
    with pytest.raises(asyncio.CancelledError if is_cancelled else DatabaseUnavailable):
        await first
    store.failure = None
    store.go_on.release()
    assert await other == "b"
    store.go_on.release()
    assert await shared.get_now(1) == "a"
    await shared.close()
