"""Makes something once in a test run, although pytest-xdist may give tests of one module to several workers."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from typing import Any

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Any]) -> Any:
    """What `make` returns, as JSON decodes it. The first worker that asks calls it, and the others wait for it.

    If `make` raises, the worker's own tests fail, and the next worker that asks calls it again.
    """
    # Every worker has a folder of its own in the folder of the run. Without workers, that folder is the run's.
    base = factory.getbasetemp()
    folder = base.parent if base.name.startswith("popen-") else base
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / f"{name}.json"
        if not made.exists():
            text = json.dumps(make())
            made.write_text(text, encoding="utf-8")
        return json.loads(made.read_text(encoding="utf-8"))
