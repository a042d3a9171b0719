"""Runs a server on the port of the command line, on uvloop."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop


def main(serve: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Run `serve(port)` until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
