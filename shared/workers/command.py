"""The options of the command line that are about workers, the same for the API and the gateway."""

from __future__ import annotations

import argparse
from typing import Any

from shared.settings import MOST_WORKERS


def add_options(parser: argparse.ArgumentParser, **default: Any) -> None:
    """Add `--workers N`, and the option with which a parent starts a worker."""
    parser.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="serve with N processes on one port",
        **default,
    )
    parser.add_argument("--worker", type=_descriptor, help=argparse.SUPPRESS, **default)


def workers_of(options: argparse.Namespace, usual: int) -> int:
    """Returns how many workers there are to be; `usual` is the setting."""
    given: int | None = options.workers
    return usual if given is None else given


def _descriptor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 2 and len(text) < 10):
        raise argparse.ArgumentTypeError("only for the parent of several workers, which --workers starts")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:4]) <= MOST_WORKERS and len(text) < 4):
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_WORKERS}, not {text!r}")
    return int(text)
