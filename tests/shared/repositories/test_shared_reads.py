"""One read answers many callers, and no caller gets a value that was read before the call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.postgres import DatabaseUnavailable
from shared.repositories.shared_reads import SharedReads


class Store:
    """Values that change. A read takes them at its start, and returns when the test lets it go on."""

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


async def let_the_loop_turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_during_a_read_share_the_next_one() -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    first = asyncio.ensure_future(shared.get(1))
    await let_the_loop_turn()
    store.values[1] = "changed"
    later = [asyncio.ensure_future(shared.get(key)) for key in (1, 2, 1, 3, 1)]
    await let_the_loop_turn()
    assert store.reads == [[1]]
    store.go_on.release()
    assert await first == "a"
    store.go_on.release()
    assert await asyncio.gather(*later) == ["changed", "b", "changed", None, "changed"]
    assert store.reads == [[1], [1, 2, 3]]


async def test_a_read_has_a_largest_number_of_keys() -> None:
    store = Store()
    shared = SharedReads(store.read, most=2)
    answers = [asyncio.ensure_future(shared.get(key)) for key in (1, 2, 3)]
    await let_the_loop_turn()
    store.go_on.release()
    store.go_on.release()
    await asyncio.gather(*answers)
    assert store.reads == [[1, 2], [3]]
    await shared.close()


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), ValueError("a mistake")])
async def test_a_failed_read_fails_only_its_own_callers(failure: Exception) -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    answers = [asyncio.ensure_future(shared.get(key)) for key in (1, 1, 2)]
    await let_the_loop_turn()
    store.failure = failure
    store.go_on.release()
    for answer in answers:
        with pytest.raises(type(failure)):
            await answer
    store.failure = None
    store.go_on.release()
    assert await shared.get(1) == "a"


async def test_a_cancelled_caller_does_not_affect_others() -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    gone, stays = asyncio.ensure_future(shared.get(1)), asyncio.ensure_future(shared.get(1))
    await let_the_loop_turn()
    gone.cancel()
    await let_the_loop_turn()
    store.go_on.release()
    assert await stays == "a"
    assert gone.cancelled()


async def test_get_now_reads_at_once_and_callers_during_it_share_the_next_read() -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    first = asyncio.ensure_future(shared.get_now(1))
    await let_the_loop_turn()
    store.values[1] = "changed"
    later = [asyncio.ensure_future(ask(key)) for ask in (shared.get_now, shared.get) for key in (1, 2)]
    closing = asyncio.ensure_future(shared.close())
    await let_the_loop_turn()
    assert store.reads == [[1]]
    store.go_on.release()
    assert await first == "a"
    assert not closing.done()
    store.go_on.release()
    assert await asyncio.gather(*later) == ["changed", "b"] * 2
    assert store.reads == [[1], [1, 2]]
    await closing


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_callers_are_answered_after_a_get_now_failed_or_was_cancelled(is_cancelled: bool) -> None:
    store = Store()
    shared = SharedReads(store.read, most=10)
    store.failure = DatabaseUnavailable("away")
    first = asyncio.ensure_future(shared.get_now(1))
    await let_the_loop_turn()
    other = asyncio.ensure_future(shared.get_now(2))
    await let_the_loop_turn()
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
