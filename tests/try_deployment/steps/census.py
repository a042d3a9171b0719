"""Compares what the visitors count in the database and the pictures with what they counted before."""

from __future__ import annotations

from typing import Any

from tests.try_deployment.walk import Walk


def same_as(walk: Walk, before: dict[str, Any]) -> str:
    """Check that a new census equals the one before. Returns it in a few words; raises AssertionError if not."""
    after = walk.visitors.do("census", pictures=walk.pictures)
    tables = before["tables"]
    differing = {name: (tables[name], after["tables"].get(name)) for name in tables}
    differing = {name: both for name, both in differing.items() if both[0] != both[1]}
    assert not differing, f"rows and digests before and after: {differing}"
    assert after["listings"] == before["listings"], (before["listings"], after["listings"])
    assert after["pictures"] == before["pictures"], (before["pictures"], after["pictures"])
    rows = sum(count for count, _ in after["tables"].values())
    return (
        f"the same {rows} rows in {len(tables)} tables, {len(after['listings']['data'])} listings, "
        f"{len(after['pictures'])} picture files"
    )
