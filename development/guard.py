"""Runs a command that dies with its parent, as another user if one is named. It is a script, not for import.

    python -I -S guard.py PARENT_PID DEATH_SIGNAL USER_OR_DASH PROGRAM ARGUMENT...

The script replaces itself with the command, so that the parent's child is the server itself. On Linux it asks the
kernel for a signal at the parent's death: after the change of user, which clears that request, and before exec, which
keeps it. On other systems the command outlives a parent that was killed; the next start ends it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    if user != "-":
        account = pwd.getpwnam(user)
        os.initgroups(user, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # The parent died before the kernel was asked for the signal.
        sys.exit(1)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
