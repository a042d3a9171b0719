"""`python -m api` serves the API or runs one of the operator's commands. Reads the environment and the command line.

The modules of the API itself are imported only where they are needed: the parent of several workers does without them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress

from shared.domain.users import Role
from shared.hiding import hide_from_other_processes
from shared.settings import InvalidSettings, Settings
from shared.workers.command import add_options, workers_of

SERVE = "serve"
SCHEMA = "schema"


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m api",
        description="The REST API of Daveslist, and its commands. Everything else is set by environment variables.",
    )
    add_options(top)
    subparsers = top.add_subparsers(metavar="COMMAND")

    def add(name: str, help: str, *, is_owner: bool = False) -> argparse.ArgumentParser:
        subparser = subparsers.add_parser(name, help=help, description=help)
        subparser.set_defaults(command=name, is_owner=is_owner)
        return subparser

    # Without the default, the option of `python -m api --workers 2 serve` would be forgotten.
    add_options(add(SERVE, "serve the API (the default)"), default=argparse.SUPPRESS)
    seed = add("seed", "add demo data, fast, as the role that owns the database", is_owner=True)
    seed.add_argument("--users", type=_count, default=0, metavar="N", help="user1@example.com and so on, same password")
    seed.add_argument("--listings", type=_count, default=0, metavar="N")
    seed.add_argument(
        "--pictures", type=_count, default=0, metavar="N", help="drawn ones, for the newest N listings that have none"
    )
    seed.add_argument("--if-empty", action="store_true", help="add nothing if there are users already")
    token = add("token", "print `USER_ID TOKEN` lines, each token valid for a day")
    token.add_argument("user_ids", type=_count, nargs="+", metavar="USER_ID")
    add("push-key", "print a new key for VAPID_PRIVATE_KEY")
    role = add("role", "give a role to a user")
    role.add_argument("email")
    role.add_argument("role", choices=[role.value for role in Role])
    off = add("second-factor-off", "turn a user's second factor off, who has lost it")
    off.add_argument("email")
    add(SCHEMA, "apply schema.sql, as the role that owns the database")
    top.set_defaults(command=SERVE, is_owner=False)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if the work failed, 2 if the command line or the environment is wrong.

    A failure prints one line to standard error.
    """
    top = parser()
    options = top.parse_args(arguments)
    if options.workers is not None and options.command != SERVE:
        top.error("--workers is for serving")
    hide_from_other_processes()
    if options.command == SERVE and options.worker is None:
        try:
            settings = Settings.from_environment()
            workers = workers_of(options, settings.api_workers)
            if workers > 1:
                from shared.workers.parent import serve_by_several

                return serve_by_several("api", settings, workers)
        except (InvalidSettings, OSError) as error:
            return _fail(str(error), 2 if isinstance(error, InvalidSettings) else 1)
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    import uvloop

    from api import commands
    from api.app import document_of
    from api.server import SchemaMissing, serve
    from shared.logs import configure_logs
    from shared.postgres import DatabaseUnavailable
    from shared.postgres.schema import SchemaFailed, SchemaRefused
    from shared.start import settings_for_the_schema, settings_to_start_with
    from shared.workers.worker import assigned

    worker = None
    if options.worker is not None:
        # Who waits for a worker's death does before what takes long. A wrong setting is told when there is work.
        with suppress(InvalidSettings):
            document_of(Settings.from_environment())
        try:
            worker = assigned(options.worker)
        except OSError as error:
            return _fail(str(error), 1)
        if worker is None:
            return 0
    try:
        if options.command == SCHEMA:
            settings = settings_for_the_schema()
        else:
            settings = settings_to_start_with(is_owner=options.is_owner)
    except InvalidSettings as error:
        return _fail(str(error), 2)
    configure_logs(settings, "api" if worker is None else f"api {worker.number}")
    try:
        if options.command == SERVE:
            uvloop.run(serve(settings, worker))
        else:
            uvloop.run(commands.COMMANDS[options.command](settings, options))
    except InvalidSettings as error:
        return _fail(str(error), 2)
    except DatabaseUnavailable as error:
        return _fail(f"DATABASE_URL: the database is away: {error}", 1)
    except (commands.CommandFailed, SchemaMissing, SchemaRefused, OSError) as error:
        return _fail(str(error), 1)
    except SchemaFailed as error:
        return _fail(f"the schema could not be applied: {error}", 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise argparse.ArgumentTypeError(f"a whole number, not {text!r}")
    return int(text)


def _fail(message: str, code: int) -> int:
    print(f"python -m api: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
