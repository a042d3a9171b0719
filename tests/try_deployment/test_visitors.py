"""Tests the visitors, who run in a container that has the project's code and no package for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
VISITORS = Path(__file__).parent / "visitors"
NO_PYTEST = "import sys; sys.modules['pytest'] = None; import importlib; importlib.import_module(sys.argv[1])"


@pytest.mark.servers
@pytest.mark.parametrize("module", sorted(path.stem for path in VISITORS.glob("*.py")))
def test_visitors_need_no_pytest(module: str) -> None:
    name = VISITORS.relative_to(CHECKOUT).as_posix().replace("/", ".")
    imported = "" if module == "__init__" else f".{module}"
    subprocess.run([sys.executable, "-c", NO_PYTEST, name + imported], check=True, cwd=CHECKOUT)
