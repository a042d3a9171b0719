"""How long a test waits for what is promised within some seconds: longer on a machine that is busy with other work.

A fixed bound is either too tight for a busy machine, or so wide that a fault fits into it. This one grows by the time
in which the processes were ready to run and had no CPU. So it is tight on a machine that is free.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MOST_SECONDS = 60.0


def waited(process_id: int) -> float:
    """The seconds in which the threads of a process were ready to run and had no CPU.

    The source is /proc/PID/task/TID/schedstat (sched-stats.rst of Linux). It is 0 if the kernel does not tell, or if
    the process has ended.
    """
    nanoseconds = 0
    with suppress(OSError):
        for thread in Path(f"/proc/{process_id}/task").iterdir():
            with suppress(OSError):
                nanoseconds += int((thread / "schedstat").read_text().split()[1])
    return nanoseconds / 1e9


class Patience:
    """Begins now, and is over after `seconds`, and after the time that these processes wait for a CPU from now on.

    It is over in any case after `most` seconds, so that a test that waits in vain ends.
    """

    def __init__(self, seconds: float, processes: Iterable[int] = (), most: float = MOST_SECONDS) -> None:
        self._seconds = seconds
        self._most = max(most, seconds)
        self._before = {process_id: waited(process_id) for process_id in processes}
        self.began_at = time.monotonic()

    @property
    def allowed(self) -> float:
        """The seconds from the beginning that are allowed up to now. They grow while the processes wait."""
        # Threads that have ended are missing in the sum, so it can fall below what it was.
        more = sum(max(0.0, waited(process_id) - before) for process_id, before in self._before.items())
        return min(self._most, self._seconds + more)

    @property
    def left(self) -> float:
        """The seconds that are left; 0 if it is over."""
        return max(0.0, self.began_at + self.allowed - time.monotonic())
