"""How many workers have died in each place. The parent counts them from its begin on, and any worker shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.core import Metric

from shared.workers.files import replace_file

_FILE = "deaths"
_NAME = "daveslist_worker_deaths"


def write(folder: Path, deaths: Sequence[int]) -> None:
    """Let the workers of this folder know. `deaths` has a number for each place. Raises OSError."""
    replace_file(folder / _FILE, json.dumps(deaths).encode())


def read(folder: Path) -> list[int]:
    """Returns what was written last; nothing if the parent is of 1.0.0, which writes nothing."""
    try:
        found: list[int] = json.loads((folder / _FILE).read_bytes())
    except FileNotFoundError:
        return []
    return found


def metric(deaths: Sequence[int]) -> Metric:
    """Returns the metric, with the label `worker`."""
    made = Metric(_NAME, "Workers in this place that have ended without being told to", "counter")
    for number, count in enumerate(deaths, start=1):
        made.add_sample(f"{_NAME}_total", {"worker": str(number)}, float(count))
    return made
