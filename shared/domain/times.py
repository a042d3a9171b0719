"""How times look in JSON, and in sentences. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(time: datetime) -> str:
    """Returns the time as RFC 3339 in UTC with microseconds: `2026-01-31T23:59:59.000001Z`."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat(timespec="microseconds")[:-6] + "Z"


def in_words(time: datetime) -> str:
    """Returns the time for people, in UTC: "November 26, 2026, 22:41 UTC"."""
    time = time.astimezone(UTC)
    return f"{time:%B} {time.day}, {time.year}, {time:%H:%M} UTC"


def rfc3339_or_none(time: datetime | None) -> str | None:
    """Like `rfc3339`; None for None."""
    return None if time is None else rfc3339(time)
