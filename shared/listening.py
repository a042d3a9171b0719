"""The error of a process that cannot listen on its address."""

from __future__ import annotations

import os
import socket

from shared.folders import why


def cannot_listen(name: str, host: str, port: int, error: OSError) -> OSError:
    """Returns an error of one line that names the variables; `name` is the beginning of their names."""
    # asyncio's own text repeats the address.
    has_number = error.errno is not None and not isinstance(error, socket.gaierror)
    reason = os.strerror(error.errno or 0).lower() if has_number else why(error)
    return OSError(f"{name}_HOST, {name}_PORT: cannot listen on {host}:{port}: {reason}")
