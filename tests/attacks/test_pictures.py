"""One account uploads pictures that take seconds, and pictures that would take minutes, from several addresses."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO

import aiohttp
import pytest
from PIL import Image

from tests.api.pictures.samples import encoded, jpeg_that_takes_minutes
from tests.attacks.figures import MEBIBYTE, Bounds
from tests.attacks.siege import HABITS, Attack, Siege, bearer

pytestmark = pytest.mark.asyncio(loop_scope="package")

ADDRESSES = 5
AT_ONCE = 8
"""Uploads from each address."""
SIDE = 7_700
"""Close to the most pixels that a picture may have."""
BOUNDS = Bounds(api_bytes=1800 * MEBIBYTE)
"""A picture of the most pixels needs hundreds of megabytes in a worker, whose limit is 1.5 GiB."""


async def test_pictures_that_take_long_keep_nobody_elses_waiting(siege: Siege) -> None:
    large = encoded(Image.new("RGB", (SIDE, SIDE), (90, 120, 150)), "JPEG", quality=30)
    endless = jpeg_that_takes_minutes()

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        listings = [await siege.listing(attacker, address) for _ in range(3)]
        network = address.rpartition(".")[0]
        uploads = itertools.cycle(itertools.product((endless, large), listings))
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(siege.client(f"{network}.{place}")) for place in range(1, 1 + ADDRESSES)
            ]

            async def attack(until: float) -> Counter[str]:
                answers: Counter[str] = Counter()

                async def upload(client: aiohttp.ClientSession) -> None:
                    while asyncio.get_running_loop().time() < until:
                        picture, listing_id = next(uploads)
                        form = aiohttp.FormData()
                        form.add_field("picture", BytesIO(picture), filename="car.jpg", content_type="image/jpeg")
                        path = f"/api/listings/{listing_id}/pictures"
                        try:
                            async with asyncio.timeout_at(until + 1.0):
                                async with client.post(path, data=form, headers=bearer(attacker)) as response:
                                    answers[str(response.status)] += 1
                        except TimeoutError:
                            answers["not waited for"] += 1
                        except aiohttp.ClientError:
                            # It was refused before all of it was sent.
                            answers["cut off"] += 1
                        await asyncio.sleep(0.2)

                await asyncio.gather(*(upload(client) for client in clients for _ in range(AT_ONCE)))
                return answers

            yield attack

    figures = await siege.lay(
        "pictures that take long", prepare, habits={**HABITS, "upload": 0.8}, bounds=BOUNDS, seconds=5.0
    )
    assert sum(figures.answers.values()) > AT_ONCE
