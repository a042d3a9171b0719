"""The version of what nodes tell each other and keep in Redis. No I/O.

Everything there is a JSON array. An element behind those that its module describes is its version; without one it has
version 1, so the usual form costs nothing. Elements behind the version are ignored.

A release writes only what the release before it can read, because both run side by side while one replaces the other.
So a new field comes as an element behind a `1`. A form that the release before would misread gets a new version in two
releases: the first one reads it (READ grows), the next one writes it.
"""

from __future__ import annotations

from typing import Final

WRITTEN: Final = 1
"""The version that this release writes."""
READ: Final = 1
"""The highest version that this release reads."""


class LaterFormat(ValueError):
    """It has a version that only a later release reads."""


def check(version: int) -> None:
    """Raises LaterFormat if this release does not read the version."""
    if version > READ:
        raise LaterFormat(f"version {version}, and this release reads {READ}")
