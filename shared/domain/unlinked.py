"""Text in which no program finds a link: mail programs and phones make links of addresses that are only text. Pure."""

from __future__ import annotations

import re

_AFTER_SCHEME = re.compile("(?<=://)(?=[^ ])")
# Before what may be the end of a host. Browsers take each of these characters for a dot (UTS 46, 4).
_DOT = re.compile(r"(?<=[^\s.])(?=[.\u3002\uff0e\uff61][^\W\d]{2})")


def unlinked(text: str) -> str:
    """Returns the text with a blank behind each `://` and before each dot that letters follow.

    Times, prices and what ends a sentence stay as they are.
    """
    return _DOT.sub(" ", _AFTER_SCHEME.sub(" ", text))
