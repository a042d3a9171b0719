"""Makes Python's garbage collector run rarely: it frees objects that refer to each other in a circle.

By default the collector runs often, and goes through all objects. A node holds millions of objects that live for hours;
while many clients connect, the collector would take a third of its time. No channel, connection or poll leaves a circle
behind when it ends (tests/gateway/transports/test_memory.py counts them). The rare circles are mostly those of
libraries' errors.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 100)
"""The arguments of `gc.set_threshold`; Python's defaults are 700, 10, 10."""


def look_for_garbage_rarely() -> None:
    """Set the thresholds of this process, and exempt all objects that exist now from collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
