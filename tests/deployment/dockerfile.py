"""Builds a Dockerfile without a container engine: it carries out the steps in folders, one folder for each stage.

It knows the instructions, flags and forms that our Dockerfile uses; any other raises StepFailed, because a step that
was skipped here would be different in the image. The base image is this machine with this Python. RUN happens in the
folder that stands for WORKDIR, so its paths have to be relative. A table keeps the owners, since only root could change
them.
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
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = "0:0"
BASE_IMAGE = re.compile(r"python:3\.\d+\.\d+-slim")
OWNER = re.compile(r"\d+:\d+")
VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=([^\s\"'\\]+)")
DIRECTIVE = re.compile(r"#\s*[a-z]+\s*=")
GIVES_AWAY = re.compile(r"(^|[;&|({]\s*)(chown|chgrp|install|chmod|su|sudo)\s")
HEALTHCHECK_FLAGS = frozenset({"interval", "timeout", "start-period", "retries"})


class StepFailed(AssertionError):
    """A step failed. The message has the step, and its output or the reason."""


@dataclass
class Stage:
    """The state of a stage: the folder that stands for `/`, and the declarations so far."""

    root: Path
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ROOT
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    stop_signal: str = ""
    owners: dict[PurePosixPath, str] = field(default_factory=dict)
    """`uid:gid` of the paths in the image that do not belong to root."""

    def path(self, text: str) -> Path:
        """The path on this machine of a path in the image; a relative one starts from the WORKDIR."""
        return self.root / self._inside(text).relative_to("/")

    def owner(self, text: str) -> str:
        """`uid:gid` of an existing path of the image."""
        assert self.path(text).exists(), f"there is no {text}"
        return self.owners.get(self._inside(text), ROOT)

    def variables(self) -> dict[str, str]:
        """The declared environment, with the image's paths replaced by those on this machine."""
        here = str(self.root / "daveslist")
        return {name: value.replace("/daveslist", here) for name, value in self.environment.items()}

    def _inside(self, text: str) -> PurePosixPath:
        return PurePosixPath(os.path.normpath(PurePosixPath(self.workdir, text)))


def build(dockerfile: Path, directory: Path) -> dict[str, Stage]:
    """All stages, by name. Raises StepFailed."""
    context = dockerfile.parent
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for keyword, rest in _instructions(dockerfile):
        if keyword == "FROM":
            words = rest.split()
            _known(len(words) == 3 and words[1] == "AS" and words[2] not in stages, "FROM", rest)
            base, _, name = words
            _known(base in stages or BASE_IMAGE.fullmatch(base) is not None, "FROM", rest)
            stage = stages[name] = _begin(stages.get(base), directory / name)
            continue
        if stage is None:
            raise StepFailed(f"{keyword} {rest}: before the first FROM")
        _step(context, stages, stage, keyword, rest)
    return stages


def _step(context: Path, stages: dict[str, Stage], stage: Stage, keyword: str, rest: str) -> None:
    match keyword:
        case "WORKDIR":
            _known(stage.user == ROOT and "$" not in rest, keyword, rest)
            stage.workdir = rest
            stage.path(".").mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(context, stages, stage, rest)
        case "RUN":
            _run(stage, rest)
        case "ENV":
            given = VARIABLE.fullmatch(rest)
            value = given[2].replace("$PATH", os.environ["PATH"]) if given else ""
            if given is None or "$" in given[2].replace("$PATH", ""):
                raise StepFailed(f"ENV {rest}: not known here")
            stage.environment[given[1]] = value
        case "USER":
            _known(OWNER.fullmatch(rest) is not None, keyword, rest)
            stage.user = rest
        case "CMD":
            stage.command = _words(keyword, rest)
        case "HEALTHCHECK":
            options, words = _options(keyword, rest, HEALTHCHECK_FLAGS)
            _known(set(options) <= HEALTHCHECK_FLAGS and words.startswith("CMD "), keyword, rest)
            stage.healthcheck = _words(keyword, words.removeprefix("CMD "))
        case "EXPOSE":
            _known(rest.isdecimal(), keyword, rest)
            stage.ports.append(int(rest))
        case "STOPSIGNAL":
            _known(re.fullmatch(r"SIG[A-Z]+", rest) is not None, keyword, rest)
            stage.stop_signal = rest
        case _:
            raise StepFailed(f"{keyword}: not known here")


def _known(condition: bool, keyword: str, rest: str) -> None:
    if not condition:
        raise StepFailed(f"{keyword} {rest}: not known here")


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    found = []
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        if DIRECTIVE.match(line) or line.endswith("\\") or "<<" in line:
            raise StepFailed(f"{line}: directives, lines that go on and here-documents are not known here")
        if line and not line.startswith("#"):
            keyword, _, rest = line.partition(" ")
            found.append((keyword, rest.strip()))
    return found


def _options(keyword: str, rest: str, known: frozenset[str]) -> tuple[dict[str, str], str]:
    """The flags before the rest, `--name=value` each, and the rest."""
    options = {}
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        name, _, value = flag.removeprefix("--").partition("=")
        if name not in known or not value or name in options:
            raise StepFailed(f"{keyword} {flag}: not known here")
        options[name] = value
        rest = rest.lstrip()
    return options, rest


def _words(keyword: str, rest: str) -> list[str]:
    """The words of a JSON list; the form for a shell is not known."""
    try:
        words = json.loads(rest)
    except ValueError:
        words = None
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        raise StepFailed(f"{keyword} {rest}: not known here")
    return words


def _begin(base: Stage | None, root: Path) -> Stage:
    root.mkdir()
    if base is None:
        return Stage(root)
    # Hard links are enough, because no step changes a file of an earlier stage.
    shutil.copytree(base.root, root, symlinks=True, dirs_exist_ok=True, copy_function=os.link)
    return replace(
        base, root=root, environment=dict(base.environment), ports=list(base.ports), owners=dict(base.owners)
    )


def _copy(context: Path, stages: dict[str, Stage], stage: Stage, rest: str) -> None:
    options, names = _options("COPY", rest, frozenset({"from", "chown"}))
    words = shlex.split(names)
    _known(len(words) == 2 and not set("*?[$") & set(names), "COPY", rest)
    _known(
        options.get("from", "") in {"", *stages} and OWNER.fullmatch(options.get("chown", ROOT)) is not None,
        "COPY",
        rest,
    )
    source, destination = words
    origin = stages[options["from"]] if "from" in options else None
    if origin is None and not _is_in_context(context, source):
        raise StepFailed(f"COPY {rest}: {source} is left out by .dockerignore")
    original = origin.path(source) if origin else context / source
    if origin and "chown" not in options:
        # Some builders copy owners, and others do not.
        given_away = [path for path in origin.owners if origin.path(str(path)).is_relative_to(original)]
        _known(not given_away, "COPY", rest)
    copied = stage.path(destination)
    there_before = {path for path in (copied, *copied.parents, *copied.rglob("*")) if path.exists()}
    if original.is_dir():
        ignore = None if origin else _ignored(context)
        copy = os.link if origin else shutil.copy2
        shutil.copytree(original, copied, symlinks=True, dirs_exist_ok=True, ignore=ignore, copy_function=copy)
    elif original.is_file():
        copied = copied / original.name if destination.endswith("/") or copied.is_dir() else copied
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(original, copied)
    else:
        raise StepFailed(f"COPY {rest}: there is no {source}")
    # As in real builders, an existing folder or file keeps its owner.
    owner = options.get("chown", ROOT)
    if owner != ROOT:
        made = {path for path in (copied, *copied.parents, *copied.rglob("*")) if path.is_relative_to(stage.root)}
        for path in made - there_before:
            stage.owners[PurePosixPath("/", path.relative_to(stage.root))] = owner


def _ignore_lines(context: Path) -> list[str]:
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines[:1] != ["*"] or not all(re.fullmatch(r"\*|![\w./-]+|\*\*/\w+", line) for line in lines):
        raise StepFailed(f".dockerignore: not known here: {lines}")
    return lines


def _is_in_context(context: Path, name: str) -> bool:
    """Whether the build context has a name: .dockerignore leaves out everything, and then takes some names back."""
    return f"!{name}" in _ignore_lines(context)


def _ignored(context: Path) -> Callable[[str, list[str]], list[str]]:
    patterns = [line.removeprefix("**/") for line in _ignore_lines(context) if line.startswith("**/")]
    return lambda _, names: [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _run(stage: Stage, command: str) -> None:
    words = shlex.split(command)
    # An absolute path would be one on this machine, and the table would miss an owner that a command sets.
    is_followed = not command.startswith(("--", "[")) and not any(word.startswith("/") for word in words)
    _known(stage.user == ROOT and is_followed and not GIVES_AWAY.search(command), "RUN", command)
    # `python` means the base image's, so it is this Python without the packages of its virtual environment.
    own = Path(sys.base_prefix, "bin")
    path = f"{own}:{os.environ['PATH']}"
    shell_command = re.sub(r"^python ", f"{shlex.quote(str(own / 'python3'))} ", command)
    done = subprocess.run(
        ["sh", "-e", "-c", shell_command],
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
