"""Makes Python's garbage collector run rarely. It frees reference cycles.

By default the collector runs often and scans many objects. A node holds millions of objects that live for hours; while
many clients connect, the collector would take a third of the node's time. Channels, connections and polls leave no
cycle when they end (tests/gateway/transports/test_memory.py counts them). The few cycles are mostly in errors of
libraries. An API makes and drops many objects for each page, and would spend a sixth of its time on looking at them.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 100)
"""The arguments of `gc.set_threshold`; Python's defaults are 700, 10, 10."""


def look_for_garbage_rarely() -> None:
    """Set the thresholds of this process, and exempt all existing objects from collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
