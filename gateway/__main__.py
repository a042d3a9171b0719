"""`python -m gateway` runs one gateway. Environment variables configure it (shared/settings.py)."""

from __future__ import annotations

import sys

import uvloop

from gateway.server import serve
from shared.hiding import hide_from_other_processes
from shared.logs import configure_logs
from shared.settings import InvalidSettings
from shared.start import settings_to_start_with


def main() -> int:
    """Returns the exit code: 0, 1 if the work failed, 2 if an environment variable is wrong.

    A failure prints one line to standard error.
    """
    if len(sys.argv) > 1:
        print("python -m gateway takes no arguments; set environment variables", file=sys.stderr)
        return 2
    hide_from_other_processes()
    try:
        settings = settings_to_start_with()
    except InvalidSettings as error:
        print(f"python -m gateway: {error}", file=sys.stderr)
        return 2
    configure_logs(settings, f"gateway:{settings.gateway_port}")
    try:
        uvloop.run(serve(settings))
    except InvalidSettings as error:
        print(f"python -m gateway: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"python -m gateway: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
