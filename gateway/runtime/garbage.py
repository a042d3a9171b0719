"""How often a node looks for garbage: objects that refer to each other in a circle, which nothing else would free.

Python looks often, and through everything that lives; a node holds millions of objects that live for hours, and while
clients come in masses that looking would take a third of its time. Nothing here leaves circles behind: not a channel,
not a connection, not a poll (tests/gateway/transports/test_memory.py counts them). So what Python must look for is
rare: libraries' errors, mostly.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 100)
"""New objects, and looks at the younger ones, before a look; Python's own are 700, 10, 10."""


def look_for_garbage_rarely() -> None:
    """In this process, from now on. What has been made so far is taken to stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
