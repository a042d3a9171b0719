"""When a node looks for garbage: objects that refer to each other in a circle, which nothing else would free.

Python looks often, and through everything that lives; a node holds millions of objects that live for hours, and while
clients come in masses that looking takes a third of its time. What leaves circles behind is a connection that ends
(aiohttp's parts know each other): so it is by these that a node looks through everything.
"""

from __future__ import annotations

import asyncio
import gc

from gateway.runtime.endpoint import Endpoint

THRESHOLDS = (10_000, 20, 100)
"""New objects, and looks at the younger ones, before a look; Python's own are 700, 10, 10."""
SHARE = 4
"""Everything is looked through when so many times the ended connections exceed those that are open."""
AT_LEAST = 1_000
"""Ended connections below which it is not worth the while; each leaves some 15 KB."""
_EVERY_SECONDS = 1.0


class GarbageCollection:
    """Of one process that serves one endpoint and little else."""

    def __init__(self, endpoint: Endpoint) -> None:
        """From now on; what has been made so far is taken to stay."""
        self._endpoint = endpoint
        self._collected = 0
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        self._check()

    def stop(self) -> None:
        self._timer.cancel()

    def _check(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._check)
        ended = self._endpoint.counts.disconnects
        uncollected = ended - self._collected
        if uncollected >= AT_LEAST and uncollected * SHARE >= len(self._endpoint.connections):
            self._collected = ended
            gc.collect()
