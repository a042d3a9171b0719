"""`python -m tests.end_to_end.pair GATEWAY URL ANN TOKEN BOB TOKEN`: Ann writes to Bob, and the seconds of each message
are printed, one line for each. Those are left out in which this process or the gateway (by process id) had no CPU.

It is a process of its own, so that the test's other work does not delay it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from tests.support.client import Socket
from tests.support.patience import waited

PAUSE_SECONDS = 0.04


async def write_on(gateway: int, url: str, ann: str, anns_token: str, bob: str, bobs_token: str) -> None:
    """Write messages until the process is killed."""
    loop = asyncio.get_running_loop()

    def seconds() -> float:
        return loop.time() - waited(os.getpid()) - waited(gateway)

    async with await Socket.connect(url, anns_token) as anns, await Socket.connect(url, bobs_token) as bobs:
        topic = f"private_chat:{ann}"
        assert (await anns.join(topic))["status"] == "ok"
        assert (await bobs.join(f"private_chat:{bob}"))["status"] == "ok"
        for number in itertools.count():
            started = seconds()
            push = asyncio.create_task(anns.push(topic, "send", {"to": bob, "message": f"{number}"}))
            while (await bobs.event("send"))["message"] != f"{number}":
                pass
            print(seconds() - started, flush=True)
            assert (await push)["status"] == "ok"
            anns.frames.clear()
            await asyncio.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    asyncio.run(write_on(int(sys.argv[1]), *sys.argv[2:]))
