"""A callback runs at once and becomes a task where it waits; asyncio works in it as in any task."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.runtime.stepping import Stepper, Suspended
from tests.support.waiting import PATIENCE_SECONDS


async def run(coroutine: Any) -> Any:
    """Step a coroutine, await its task if it waits, and return its result."""
    result = Stepper(asyncio.get_running_loop()).step(coroutine)
    return await result.task if isinstance(result, Suspended) else result


async def test_a_callback_that_never_waits_finishes_at_once_without_a_task() -> None:
    async def callback() -> int:
        return 5

    before = asyncio.all_tasks()
    assert Stepper(asyncio.get_running_loop()).step(callback()) == 5
    assert asyncio.all_tasks() == before


async def test_an_exception_before_the_first_wait_is_raised_by_step() -> None:
    async def callback() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        Stepper(asyncio.get_running_loop()).step(callback())


async def test_a_callback_that_waits_is_finished_by_a_task() -> None:
    gate = asyncio.Event()

    async def callback() -> str:
        await gate.wait()
        await asyncio.sleep(0)
        return "done"

    suspended = Stepper(asyncio.get_running_loop()).step(callback())
    assert isinstance(suspended, Suspended)
    assert not suspended.task.done()
    gate.set()
    assert await suspended.task == "done"


async def test_many_callbacks_of_one_turn_may_wait_for_the_same_future() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    stepper = Stepper(loop)

    async def callback(number: int) -> int:
        return number + await future

    suspended = [stepper.step(callback(number)) for number in range(3)]
    future.set_result(10)
    assert await asyncio.gather(*(one.task for one in suspended)) == [10, 11, 12]


async def test_the_callers_task_is_current_again_after_a_step() -> None:
    gate = asyncio.Event()
    current = asyncio.current_task()

    async def at_once() -> Any:
        return asyncio.current_task()

    stepper = Stepper(asyncio.get_running_loop())
    assert stepper.step(at_once()) is not current
    assert asyncio.current_task() is current
    suspended = stepper.step(gate.wait())
    assert asyncio.current_task() is current
    gate.set()
    await suspended.task


async def test_steps_may_be_nested() -> None:
    stepper = Stepper(asyncio.get_running_loop())

    async def no_wait() -> str:
        return "inner"

    async def inner() -> str:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return str(await no_wait())

    async def outer() -> str:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = stepper.step(inner())
            await asyncio.sleep(0)
            return f"outer {found}"

    assert await run(outer()) == "outer inner"


async def with_timeout() -> str:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)
    except TimeoutError:
        return "timed out"
    return "not"


async def with_timeout_that_is_long_enough() -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.sleep(0)
    return "in time"


async def with_wait_for() -> str:
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    except TimeoutError:
        return "timed out"
    return "not"


async def with_task_group() -> list[str]:
    async def one(name: str) -> str:
        await asyncio.sleep(0)
        return name

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name)) for name in "ab"]
    return [task.result() for task in tasks]


async def with_task_group_that_fails() -> str:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await asyncio.sleep(60)
    except* LookupError:
        pass
    return "cancelled and caught"


async def with_gather() -> list[Any]:
    return list(await asyncio.gather(asyncio.sleep(0, "a"), asyncio.sleep(0, "b")))


async def with_shield() -> Any:
    return await asyncio.shield(asyncio.sleep(0, "shielded"))


async def with_lock() -> str:
    lock = asyncio.Lock()
    async with lock:
        await asyncio.sleep(0)
    return "locked"


async def with_timeouts_in_turn() -> str:
    found = []
    for _ in range(3):
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            found.append("t")
    return "".join(found)


async def with_a_lock_that_is_free() -> None:
    async with asyncio.Lock():
        pass


async def with_a_deadline_that_has_passed() -> str:
    try:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timed out"
    return "not"


async def with_a_timeout_around_code_that_never_waits() -> str:
    async with asyncio.timeout(0.0):
        await with_a_lock_that_is_free()
    await asyncio.sleep(0.002)
    return "undisturbed"


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (with_timeout, "timed out"),
        (with_timeout_that_is_long_enough, "in time"),
        (with_wait_for, "timed out"),
        (with_task_group, ["a", "b"]),
        (with_task_group_that_fails, "cancelled and caught"),
        (with_gather, ["a", "b"]),
        (with_shield, "shielded"),
        (with_lock, "locked"),
        (with_a_deadline_that_has_passed, "timed out"),
        (with_timeouts_in_turn, "ttt"),
        (with_a_timeout_around_code_that_never_waits, "undisturbed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_asyncio_works_in_a_callback(callback: Callable[[], Awaitable[Any]], expected: Any) -> None:
    assert await asyncio.wait_for(run(callback()), 10) == expected
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_timeout_that_began_before_the_first_wait_ends_only_its_own_callback() -> None:
    stepper = Stepper(asyncio.get_running_loop())
    gate = asyncio.Event()

    async def patient() -> str:
        await gate.wait()
        return "patient"

    hasty, calm = stepper.step(with_timeout()), stepper.step(patient())
    assert await hasty.task == "timed out"
    gate.set()
    assert await calm.task == "patient"


async def test_a_cancelled_task_cancels_its_callback() -> None:
    seen = []

    async def callback() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    suspended = Stepper(asyncio.get_running_loop()).step(callback())
    await asyncio.sleep(0)
    suspended.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await suspended.task
    assert seen == ["cancelled"]


async def test_a_task_cancelled_before_its_first_turn_runs_the_callbacks_finally_block() -> None:
    seen = []

    async def callback() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("finally")

    suspended = Stepper(asyncio.get_running_loop()).step(callback())
    suspended.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await suspended.task
    assert seen == ["finally"]


async def test_cancelling_a_task_before_its_first_turn_cancels_what_its_callback_awaits() -> None:
    inner = asyncio.create_task(asyncio.sleep(60))

    async def callback() -> None:
        await inner

    suspended = Stepper(asyncio.get_running_loop()).step(callback())
    suspended.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await suspended.task
    await asyncio.sleep(0)
    assert inner.cancelled()


async def test_context_variables_keep_their_values_across_a_wait() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def callback() -> str:
        variable.set("set")
        await asyncio.sleep(0)
        return variable.get()

    assert await run(callback()) == "set"
