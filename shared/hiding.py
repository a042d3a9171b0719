"""Hides a process's secrets from other processes of the same user, where the system can."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def hide_from_other_processes() -> bool:
    """Let no process of the same user read this one's environment or memory. Returns False where that is not possible.

    Linux then gives /proc/PID to root, refuses ptrace, and writes no core file (prctl(2), PR_SET_DUMPABLE).
    Other programs that this process starts do not inherit it.
    """
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
