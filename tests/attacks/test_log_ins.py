"""Bursts of guesses at one account's password, while bodies of unknown fields keep the APIs busy."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.attacks.siege import HABITS, Attack, Siege, answer_to
from tests.attacks.test_bodies import SIZES, unknown_fields
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")

BURST = 30
PAUSE_SECONDS = 0.5
ADDRESSES = 4
"""All in one network."""
BUSY = 3
"""Bodies of unknown fields that are under way at the same time."""


async def test_bursts_of_guesses_compare_few_passwords_and_do_not_keep_the_owner_out(siege: Siege) -> None:
    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        network = address.rpartition(".")[0]
        number = address.split(".")[2]
        owner = {"email": f"owner{number}@example.com", "password": PASSWORD}
        async with siege.client(f"127.88.{number}.1") as home:
            async with home.post("/api/register", json={**owner, "name": "Ann"}) as response:
                assert response.status == 201
                owner["device_id"] = (await response.json())["device_id"]

            async def attack(until: float) -> Counter[str]:
                loop = asyncio.get_running_loop()
                answers: Counter[str] = Counter()
                body = unknown_fields(max(SIZES))

                async def guess(place: int) -> None:
                    async with siege.client(f"{network}.{place}") as client:

                        async def one() -> None:
                            wrong = {"email": owner["email"], "password": "wrong horse"}
                            answers[await answer_to(client, "POST", "/api/login", json=wrong)] += 1

                        await asyncio.gather(*(one() for _ in range(BURST)))

                async def keep_busy() -> None:
                    headers = {"Content-Type": "application/json"}
                    async with siege.client(f"{network}.99") as client:
                        while loop.time() < until:
                            await answer_to(client, "POST", "/api/login", data=body, headers=headers)
                            await asyncio.sleep(0.05)

                busy = [asyncio.create_task(keep_busy()) for _ in range(BUSY)]
                while loop.time() < until:
                    await asyncio.gather(*(guess(place) for place in range(1, ADDRESSES + 1)))
                    answers[f"owner {await answer_to(home, 'POST', '/api/login', json=owner)}"] += 1
                    await asyncio.sleep(PAUSE_SECONDS)
                await asyncio.gather(*busy)
                return answers

            yield attack

    figures = await siege.lay("bursts of guesses", prepare, habits={**HABITS, "login": 0.5})
    # A guess may be in another minute than the one before it.
    assert 0 < figures.answers["401"] <= siege.deployment.settings.logins_per_account_minute + 1
    assert {name for name in figures.answers if name.startswith("owner")} == {"owner 200"}
