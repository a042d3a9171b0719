"""Joins style sheets into one, without comments and needless blanks. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_IMPORT = re.compile(r'@import "([^"/]+)";')
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|/\*[\s\S]*?\*/')
_BLANKS = re.compile(r'("(?:\\.|[^"\\])*")|\s*([{};,>])\s*|\s+')


def joined(sources: Mapping[str, str], entry: str) -> str:
    """Returns the style sheet of this name with those that it imports, which are beside it, in their place."""
    whole = _IMPORT.sub(lambda found: sources[found[1]], sources[entry])
    bare = _STRING_OR_COMMENT.sub(lambda found: found[1] or " ", whole)
    return _BLANKS.sub(lambda found: found[1] or found[2] or " ", bare).replace(";}", "}").strip()
