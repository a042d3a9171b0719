"""Follows a Dockerfile without a container engine: its steps are carried out in folders, a folder for each stage.

Only what our Dockerfile uses is known. The base image is this machine with this Python; RUN happens in the folder that
stands for WORKDIR, so that steps have to be relative to it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath


class StepFailed(AssertionError):
    """The message is the step and what it wrote."""


@dataclass
class Stage:
    """What a stage has come to: the folder that stands for `/`, and what was declared."""

    root: Path
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def path(self, text: str) -> Path:
        return self.root / PurePosixPath(self.workdir, text).relative_to("/")

    def variables(self) -> dict[str, str]:
        """The declared environment, with paths of the image as they are here."""
        here = str(self.root / "daveslist")
        return {name: value.replace("/daveslist", here) for name, value in self.environment.items()}


def build(dockerfile: Path, directory: Path) -> dict[str, Stage]:
    """All stages, by name. Raises StepFailed."""
    context = dockerfile.parent
    stages: dict[str, Stage] = {}
    stage = Stage(directory)
    for keyword, rest in _instructions(dockerfile):
        match keyword:
            case "FROM":
                base, _, name = rest.split()
                stage = _begin(stages.get(base), directory / name)
                stages[name] = stage
            case "WORKDIR":
                stage.workdir = rest
                stage.path(".").mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(context, stages, stage, rest)
            case "RUN":
                _run(stage, rest)
            case "ENV":
                name, _, value = rest.partition("=")
                stage.environment[name] = value.replace("$PATH", os.environ["PATH"])
            case "USER":
                stage.user = rest
            case "CMD":
                stage.command = json.loads(rest)
            case "HEALTHCHECK":
                stage.healthcheck = json.loads(rest[rest.index("[") :])
            case "EXPOSE" | "STOPSIGNAL":
                pass
            case _:
                raise StepFailed(f"{keyword}: not known here")
    return stages


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [(keyword, rest) for keyword, _, rest in (line.partition(" ") for line in lines)]


def _begin(base: Stage | None, root: Path) -> Stage:
    root.mkdir()
    if base is None:
        return Stage(root)
    # Linked: no step changes a file that an earlier stage has made.
    shutil.copytree(base.root, root, symlinks=True, dirs_exist_ok=True, copy_function=os.link)
    return Stage(root, base.workdir, dict(base.environment), base.user)


def _copy(context: Path, stages: dict[str, Stage], stage: Stage, rest: str) -> None:
    words = shlex.split(rest)
    options = [word for word in words if word.startswith("--")]
    source, destination = (word for word in words if not word.startswith("--"))
    origin = next((stages[option.partition("=")[2]] for option in options if option.startswith("--from=")), None)
    original = origin.path(source) if origin else context / source
    copied = stage.path(destination)
    if original.is_dir():
        ignore = None if origin else _ignored(context)
        copy = os.link if origin else shutil.copy2
        shutil.copytree(original, copied, symlinks=True, dirs_exist_ok=True, ignore=ignore, copy_function=copy)
    else:
        copied = copied / original.name if destination.endswith("/") else copied
        copied.parent.mkdir(parents=True, exist_ok=True)
        assert origin or _is_in_context(context, source), f"{source} is left out by .dockerignore"
        shutil.copy2(original, copied)


def _is_in_context(context: Path, name: str) -> bool:
    """.dockerignore leaves out everything, and takes some back."""
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return f"!{name}" in lines


def _ignored(context: Path) -> Callable[[str, list[str]], list[str]]:
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    return lambda _, names: [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _run(stage: Stage, command: str) -> None:
    # `python` is the base image's: this one, without the packages of the environment that it may be in.
    own = Path(sys.base_prefix, "bin")
    path = f"{own}:{os.environ['PATH']}"
    command = re.sub(r"^python ", f"{shlex.quote(str(own / 'python3'))} ", command)
    done = subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=stage.path("."),
        env={**os.environ, **stage.variables(), "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailed(f"RUN {command}\n{done.stdout}")
