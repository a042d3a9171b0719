"""Few searches run at once, so that they never hold all connections to Postgres."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from api.problems import Unavailable
from api.searches import SearchPlaces


async def test_the_numbers_of_running_and_of_waiting_searches_are_limited() -> None:
    places, end = SearchPlaces(running=2, waiting=3), asyncio.Event()
    running = most = 0
    addresses = map(str, itertools.count())

    async def search() -> None:
        nonlocal running, most
        async with places.place(next(addresses)):
            running += 1
            most = max(most, running)
            await end.wait()
            running -= 1

    tasks = [asyncio.create_task(search()) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert running == 2
    with pytest.raises(Unavailable):
        await search()
    tasks[4].cancel()
    await asyncio.wait(tasks[4:])
    tasks[4] = asyncio.create_task(search())
    end.set()
    await asyncio.gather(*tasks)
    assert (running, most) == (0, 2)


async def turns() -> None:
    """Let everything happen that waits for nothing else."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_address_with_its_share_of_the_places_leaves_places_to_others() -> None:
    places, end, running = SearchPlaces(running=3, waiting=10), asyncio.Event(), []

    async def search(address: str) -> None:
        async with places.place(address):
            running.append(address)
            await end.wait()

    attacker = [asyncio.create_task(search("attacker")) for _ in range(20)]
    await turns()
    refused = [task for task in attacker if task.done()]
    assert all(isinstance(task.exception(), Unavailable) for task in refused)
    assert len(refused) == 20 - 1 - 5
    others = [asyncio.create_task(search(f"other {number}")) for number in range(3)]
    await turns()
    assert running == ["attacker", "other 0", "other 1"]
    assert not any(task.done() for task in others)
    end.set()
    await asyncio.gather(*others, *(task for task in attacker if task not in refused))
    # The next search finds all places free again.
    end.clear()
    running.clear()
    again = [asyncio.create_task(search(f"other {number}")) for number in range(3)]
    await turns()
    assert len(running) == 3
    end.set()
    await asyncio.gather(*again)
