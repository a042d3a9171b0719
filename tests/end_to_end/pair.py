"""`python -m tests.end_to_end.pair URL ANN TOKEN BOB TOKEN`: Ann writes to Bob, and the seconds of each message are
printed, one line for each.

It is a process of its own, so that the test's other work does not delay it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from tests.support.client import Socket

PAUSE_SECONDS = 0.04


async def write_on(url: str, ann: str, anns_token: str, bob: str, bobs_token: str) -> None:
    """Write messages until the process is killed."""
    loop = asyncio.get_running_loop()
    async with await Socket.connect(url, anns_token) as anns, await Socket.connect(url, bobs_token) as bobs:
        topic = f"private_chat:{ann}"
        assert (await anns.join(topic))["status"] == "ok"
        assert (await bobs.join(f"private_chat:{bob}"))["status"] == "ok"
        for number in itertools.count():
            started = loop.time()
            push = asyncio.create_task(anns.push(topic, "send", {"to": bob, "message": f"{number}"}))
            while (await bobs.event("send"))["message"] != f"{number}":
                pass
            print(loop.time() - started, flush=True)
            assert (await push)["status"] == "ok"
            anns.frames.clear()
            await asyncio.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    asyncio.run(write_on(*sys.argv[1:]))
