"""The passwords that people choose most often, which guessers therefore try first.

`passwords.txt` has the 30,000 most frequent ones of published leaks, in lower case, most frequent first; 11,611 of them
have 8 or more characters. It is the list `passwords` of the package zxcvbn 4.5.0 (LICENSE.txt). Nothing else of the
package is needed, and it would bring its lists of names and words into every API. To update the list, write that of a
later version into the file.
"""

from __future__ import annotations

from pathlib import Path

COMMON_PASSWORDS = frozenset((Path(__file__).parent / "passwords.txt").read_text(encoding="ascii").split())
"""In lower case."""
