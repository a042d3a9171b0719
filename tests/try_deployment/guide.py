"""The commands of docs/operating.md, so that what is tried is what is written."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "operating.md"


class NotInGuide(AssertionError):
    """The message names the heading and what was looked for below it."""


def blocks(heading: str, text: str | None = None) -> list[str]:
    """The blocks of shell commands below a heading, in their order."""
    text = GUIDE.read_text(encoding="utf-8") if text is None else text
    _, found, section = text.partition(f"\n## {heading}\n")
    if not found:
        raise NotInGuide(f"docs/operating.md has no heading {heading!r}")
    return re.findall(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)


def block(heading: str, word: str, text: str | None = None) -> str:
    """The one block below a heading in which a word occurs."""
    found = [each for each in blocks(heading, text) if word in each]
    if len(found) != 1:
        raise NotInGuide(f"docs/operating.md, {heading!r}: {len(found)} blocks have {word!r}, where one should")
    return found[0]


def line(heading: str, word: str, text: str | None = None) -> str:
    """The one line of all blocks below a heading in which a word occurs."""
    found = [each for some in blocks(heading, text) for each in some.splitlines() if word in each]
    if len(found) != 1:
        raise NotInGuide(f"docs/operating.md, {heading!r}: {len(found)} lines have {word!r}, where one should")
    return found[0]
