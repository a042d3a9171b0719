"""Few searches run at once, so that they never hold all connections to Postgres."""

from __future__ import annotations

import asyncio

import pytest

from api.problems import Unavailable
from api.searches import SearchPlaces


async def test_the_numbers_of_running_and_of_waiting_searches_are_limited() -> None:
    places, end = SearchPlaces(running=2, waiting=3), asyncio.Event()
    running = most = 0

    async def search() -> None:
        nonlocal running, most
        async with places.place():
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
