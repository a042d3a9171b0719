"""Finds the container engine and runs its commands. Knows nothing of the deployment."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 900.0
"""The longest time for a command. On a busy machine, the replacement of all processes takes several minutes."""


class NoEngine(Exception):
    """No container engine can be used. The message is one line that says what is missing."""


class CommandFailed(AssertionError):
    """A command failed. The message contains the command and the end of its output."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    output: str
    errors: str

    @property
    def text(self) -> str:
        return f"{self.output}{self.errors}"


@dataclass(frozen=True)
class Engine:
    """Runs commands in a folder and an environment, as this user or as the one with the given number."""

    docker: str
    directory: Path
    environment: Mapping[str, str]
    user: int | None = None

    def run(
        self, *words: str | Path, check: bool = True, patience: float = PATIENCE_SECONDS, given: str | None = None
    ) -> Done:
        """Run `docker` with these words. `given` is its standard input. Raises CommandFailed."""
        return self._run([self.docker, *map(str, words)], check, patience, given)

    def shell(self, commands: str, *, check: bool = True, patience: float = PATIENCE_SECONDS) -> Done:
        """Run lines of a shell, as an operator types them, up to the first that fails. Raises CommandFailed."""
        return self._run(["sh", "-e", "-c", commands], check, patience, None)

    def inspect(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The engine's descriptions of containers, images or networks."""
        found: list[dict[str, Any]] = json.loads(self.run("inspect", *names).output) if names else []
        return found

    def _run(self, command: list[str], check: bool, patience: float, given: str | None) -> Done:
        shown = " ".join(command)
        try:
            done = subprocess.run(
                command,
                cwd=self.directory,
                user=self.user,
                env=dict(self.environment),
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{shown}: not ended after {patience:.0f} s") from None
        if check and done.returncode != 0:
            raise CommandFailed(f"{shown}: exit code {done.returncode}: {tail(done.stdout + done.stderr)}")
        return Done(done.returncode, done.stdout, done.stderr)


def tail(text: str, lines: int = 8) -> str:
    return " | ".join(text.strip().splitlines()[-lines:])


def find_engine(directory: Path, environment: Mapping[str, str]) -> tuple[Engine, str]:
    """The engine, and a short text with its versions. Raises NoEngine."""
    docker = shutil.which("docker", path=environment.get("PATH"))
    if docker is None:
        raise NoEngine("no container engine here: there is no `docker` on the PATH")
    engine = Engine(docker, directory, environment)
    compose = engine.run("compose", "version", "--short", check=False)
    if compose.code != 0:
        raise NoEngine("this container engine is not enough: its `docker` has no `docker compose`")
    server = engine.run("version", "--format", "{{.Server.Version}}", check=False)
    if server.code != 0:
        raise NoEngine(f"the container engine does not answer: {tail(server.errors, 1)}")
    return engine, f"engine {server.output.strip()}, Compose {compose.output.strip()}"
