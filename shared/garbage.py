"""Spares Python's garbage collector work. It frees reference cycles.

By default the collector runs often and scans many objects. A node holds millions of objects that live for hours; while
many clients connect, the collector would take a third of the node's time. Channels, connections and polls leave no
cycle when they end (tests/gateway/transports/test_memory.py counts them). The few cycles are mostly in errors of
libraries. An API exempts only what exists at its start: bodies of strangers leave more cycles, which would add up.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 100)
"""The arguments of `gc.set_threshold`; Python's defaults are 700, 10, 10."""


def exempt_what_exists() -> None:
    """Exempt all existing objects of this process from collection."""
    gc.collect()
    gc.freeze()


def look_for_garbage_rarely() -> None:
    """Set the thresholds of this process, and exempt all existing objects from collection."""
    exempt_what_exists()
    gc.set_threshold(*THRESHOLDS)
