"""Starts the visitors' container, and talks to it: each line of input is an order, each line of output is an answer."""

from __future__ import annotations

import json
import select
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.try_deployment.engine import tail
from tests.try_deployment.stack import CHECKOUT, NOT_OF_THE_STACK, Stack

ADDRESS = 200
"""The last part of the container's address in the network `front`. compose.yaml does not use it."""

ANSWER_SECONDS = 660.0
"""The longest wait for an answer. The visitors themselves stop waiting earlier."""


class VisitFailed(AssertionError):
    """A visitor saw something wrong. The message says what."""


class Visitors:
    """A container of the API's image, in all networks, with the tests of this checkout."""

    def __init__(self, stack: Stack, words: str, image: str | None = None) -> None:
        """`image` is another one than the API's, with the packages of this checkout."""
        self._stack = stack
        self._image = image
        self._words = words
        self._name = f"{stack.project}-visitors"
        self._errors = stack.directory / "visitors.log"

    def __enter__(self) -> Self:
        engine, configuration = self._stack.engine, self._stack.configuration()
        api = configuration["services"]["api-1"]
        networks = configuration["networks"]
        # The settings and secrets of an API: the same database, and the secret that signs tokens.
        variables = {name: value for name, value in api["environment"].items() if value is not None}
        self._write_environment({**variables, "WORDS": self._words})
        self._remove()
        engine.run(
            *("create", "--interactive", "--name", self._name, "--no-healthcheck", "--restart", "no"),
            *NOT_OF_THE_STACK,
            # Root, who can read the checkout even if others may not.
            *("--user", "0:0"),
            *("--network", networks["front"]["name"], "--ip", _address(networks["front"])),
            *("--env-file", self._stack.directory / "visitors.env"),
            *("--volume", f"{CHECKOUT / 'tests'}:/daveslist/tests:ro"),
            *_mounted(api["secrets"], configuration["secrets"]),
            *(self._image or api["image"], "python", "-m", "tests.try_deployment.visitors"),
        )
        for other in ("back", "outside"):
            engine.run("network", "connect", networks[other]["name"], self._name)
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [engine.docker, "start", "--attach", "--interactive", self._name],
                cwd=engine.directory,
                env=dict(engine.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            # The container may have ended, so that nobody reads the rest of the input.
            with suppress(OSError):
                stream.close()
        self._process.wait()

    def do(self, deed: str, **arguments: Any) -> Any:
        """Give the visitors an order, and wait for their answer. Raises VisitFailed."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"do": deed, **arguments}) + "\n")
            stdin.flush()
            is_there, _, _ = select.select([stdout], [], [], ANSWER_SECONDS)
            if not is_there:
                raise VisitFailed(f"{deed}: no answer within {ANSWER_SECONDS:.0f} s")
            line = stdout.readline()
        except OSError:
            line = ""
        if not line:
            written = self._errors.read_text(encoding="utf-8", errors="replace")
            raise VisitFailed(f"{deed}: the visitors' container has ended: {tail(written)}")
        answer = json.loads(line)
        if "failed" in answer:
            raise VisitFailed(f"{deed}: {answer['failed']}")
        return answer["answer"]

    def _write_environment(self, variables: dict[str, str]) -> None:
        path: Path = self._stack.directory / "visitors.env"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()), encoding="utf-8")

    def _remove(self) -> None:
        self._stack.engine.run("rm", "--force", "--volumes", self._name, check=False)


def _mounted(given: list[dict[str, Any]], secrets: dict[str, Any]) -> list[str]:
    """Options that mount a service's secrets where Compose mounts them."""
    files = {each["source"]: secrets[each["source"]]["file"] for each in given}
    return [word for name, file in files.items() for word in ("--volume", f"{file}:/run/secrets/{name}:ro")]


def _address(front: dict[str, Any]) -> str:
    [subnet] = [each["subnet"] for each in front["ipam"]["config"] if "." in each.get("subnet", "")]
    return f"{subnet.rpartition('.')[0]}.{ADDRESS}"
