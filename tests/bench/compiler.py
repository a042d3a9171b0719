"""Compiles the load generator, once for each version of its source, into the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).with_name("load")
PROGRAMS = {"load": ("load.c", "client.c", "measure.c"), "echo": ("echo.c",)}


class CannotBench(RuntimeError):
    """The benchmark cannot run on this machine. The message is one line that says why."""


def compiled() -> Path:
    """Compile the programs `load` and `echo` if needed, and return their folder. Raises CannotBench."""
    if not sys.platform.startswith("linux"):
        raise CannotBench("the benchmark needs Linux: its load generator is written on epoll")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CannotBench("the benchmark needs a C compiler (cc) for its load generator, and there is none")
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(path.read_bytes())
    folder = _cache() / digest.hexdigest()[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name, sources in PROGRAMS.items():
            command = [compiler, "-O2", "-o", str(unfinished / name), *(str(SOURCES / source) for source in sources)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CannotBench(f"the load generator does not compile: {done.stderr.strip().splitlines()[-1:]}")
        if not folder.is_dir():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daveslist-bench"
