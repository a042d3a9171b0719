"""The words of listings that a test inserts with SQL of its own, as a process would store them."""

from __future__ import annotations

from typing import Any

from shared.domain.analysis import VERSION
from shared.domain.indexed import INDEXED, indexed


def analysed(**columns: Any) -> dict[str, Any]:
    """Returns the columns of a listing with those of its words. `title` and `content` must be among them."""
    return {**columns, "search": indexed({**dict.fromkeys(INDEXED), **columns}), "analysis": VERSION}
