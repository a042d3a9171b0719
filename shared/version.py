"""The version of this release, as CHANGELOG.md counts it. The image has no pyproject.toml; a test compares the two."""

from __future__ import annotations

from typing import Final

VERSION: Final = "1.1.0"
