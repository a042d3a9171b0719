"""`python -m gateway` runs one gateway, or several on one port. The environment configures it (shared/settings.py).

The modules of the gateway itself are imported only where one runs: the parent of several does not need them.
"""

from __future__ import annotations

import argparse
import sys

from shared.hiding import hide_from_other_processes
from shared.settings import InvalidSettings, Settings
from shared.workers.command import add_options, workers_of


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m gateway",
        description="The realtime gateway of Daveslist. Everything else is set by environment variables.",
    )
    add_options(made)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if the work failed, 2 if the command line or an environment variable is wrong.

    A failure prints one line to standard error.
    """
    options = parser().parse_args(arguments)
    hide_from_other_processes()
    try:
        if options.worker is None:
            settings = Settings.from_environment()
            workers = workers_of(options, settings.gateway_workers)
            if workers > 1:
                from shared.workers.parent import serve_by_several

                return serve_by_several("gateway", settings, workers)
        return _serve(options.worker)
    except InvalidSettings as error:
        print(f"python -m gateway: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"python -m gateway: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _serve(link: int | None) -> int:
    import uvloop

    from gateway.runtime import event_lines
    from gateway.server import serve
    from shared.logs import configure_logs
    from shared.start import settings_to_start_with
    from shared.workers.worker import assigned

    worker = None
    if link is not None and (worker := assigned(link)) is None:
        return 0
    settings = settings_to_start_with()
    name = f"gateway:{settings.gateway_port}{'' if worker is None else f' {worker.number}'}"
    configure_logs(settings, name, for_people=event_lines.__name__)
    uvloop.run(serve(settings, worker))
    return 0


if __name__ == "__main__":
    sys.exit(main())
