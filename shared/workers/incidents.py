"""What goes wrong in a parent of workers, which has no page of its own.

The parent counts it from its begin on, and any worker shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from prometheus_client.core import Metric

from shared.workers.files import check_folder, replace_file

_FILE = "incidents"


class Incidents(msgspec.Struct):
    """Lists have a number for each place. A release before this one may not count all of this."""

    deaths: list[int] = []
    """Workers that have ended without being told to."""
    reload_failures: list[int] = []
    """Reloads that have ended early, because the worker in this place could not be replaced."""
    faults: int = 0
    """Faults that the parent has logged."""


def write(folder: Path, incidents: Incidents) -> None:
    """Let the workers of this folder know. Raises OSError."""
    replace_file(folder / _FILE, msgspec.json.encode(incidents))


def are_written(folder: Path) -> bool:
    """Whether the workers of this folder know anything. Raises OSError."""
    return (folder / _FILE).exists()


def read(folder: Path) -> Incidents | None:
    """Returns what was written last; None if the parent is of 1.0.0, which writes nothing. Raises OSError."""
    try:
        # Others could make anything of this name in a folder that is not ours.
        check_folder(folder)
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=Incidents)
    except FileNotFoundError:
        return None


def metrics(incidents: Incidents) -> Iterator[Metric]:
    """The metrics of all places, with the label `worker`."""
    yield _by_place("deaths", "Workers in this place that have ended without being told to", incidents.deaths)
    yield _by_place("reload_failures", "Reloads that ended early in this place", incidents.reload_failures)


def _by_place(what: str, text: str, counts: Sequence[int]) -> Metric:
    name = f"daveslist_worker_{what}"
    made = Metric(name, text, "counter")
    for number, count in enumerate(counts, start=1):
        made.add_sample(f"{name}_total", {"worker": str(number)}, float(count))
    return made
