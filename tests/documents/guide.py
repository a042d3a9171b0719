"""The operating guide, and its tables that are made from code: each is between two comments that name it."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
GUIDE = CHECKOUT / "docs" / "operating.md"


def in_guide(name: str) -> str:
    """The table of this name that is in the guide now."""
    return _parts(name)[1]


def write(name: str, table: str) -> None:
    """Put a table into the guide, in the place of the one of this name."""
    head, _, tail = _parts(name)
    GUIDE.write_text(head + table + tail, encoding="utf-8")


def metrics() -> set[str]:
    """The metrics that the guide's tables explain."""
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    tables = "\n".join(line for line in lines if line.startswith("| `"))
    return set(re.findall(r"`((?:api|daveslist|gateway|http)_[a-z_]+)`", tables))


def named_metrics(text: str) -> set[str]:
    """The metrics whose series a text names. A histogram has a series for each bucket, and one for their number."""
    return {
        re.sub("_(count|bucket)$", "", name) for name in re.findall(r"(?:api|daveslist|gateway|http)_[a-z_]+", text)
    }


def _parts(name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    head, found, rest = GUIDE.read_text(encoding="utf-8").partition(begin)
    table, ended, tail = rest.partition(end)
    assert found, f"the guide has no {begin}"
    assert ended, f"the guide has no {end}"
    return head + begin, table, end + tail
