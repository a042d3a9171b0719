"""Starts a neighbour of the deployment, a server of others that it uses, in a container beside it."""

from __future__ import annotations

import json
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.try_deployment.stack import CHECKOUT, LOOK_SECONDS, NOT_OF_THE_STACK, Stack

PATIENCE_SECONDS = 120.0
# The packages of the tests come after those of the image: compiled ones may be for another Python.
_RUN = """
import runpy, sys
sys.path.append("/packages")
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Neighbour:
    """A container of the API's image that runs a module of `tests.try_deployment.neighbours`."""

    def __init__(self, stack: Stack, module: str, host: str) -> None:
        self._stack = stack
        self._module = module
        self._host = host
        self.container = f"{stack.project}-{module}"

    def start(self, *arguments: str, volumes: tuple[str, ...] = ()) -> dict[str, Any]:
        """Start it in the network `out`, where it has its host's name. Returns what it says when it listens."""
        engine, configuration = self._stack.engine, self._stack.configuration()
        packages = sysconfig.get_path("purelib")
        self.remove()
        engine.run(
            *("run", "--detach", "--name", self.container, "--no-healthcheck", "--restart", "no"),
            *NOT_OF_THE_STACK,
            # Root, who can read the checkout even if others may not.
            *("--user", "0:0"),
            *("--network", configuration["networks"]["out"]["name"], "--network-alias", self._host),
            *("--volume", f"{CHECKOUT / 'tests'}:/daveslist/tests:ro", "--volume", f"{packages}:/packages:ro"),
            *(word for volume in volumes for word in ("--volume", volume)),
            *(configuration["services"]["api-1"]["image"], "python", "-c", _RUN),
            *(f"tests.try_deployment.neighbours.{self._module}", *arguments),
        )
        return self.line(lambda line: "listens" in line)

    def line(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The last line that is wanted of those it has printed; waits for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = self._stack.engine.run("logs", self.container)
            lines: list[dict[str, Any]] = [
                json.loads(text) for text in done.output.splitlines() if text.startswith("{")
            ]
            found = [line for line in lines if wanted(line)]
            if found:
                return found[-1]
            assert time.monotonic() < deadline, f"{self.container} says nothing like that: {done.text[-500:]}"
            time.sleep(LOOK_SECONDS)

    def remove(self) -> None:
        self._stack.engine.run("rm", "--force", "--volumes", self.container, check=False)


def folder_of(stack: Stack, name: str) -> Path:
    """A folder of the walk for a neighbour's files."""
    folder = stack.directory / name
    folder.mkdir(exist_ok=True)
    return folder
