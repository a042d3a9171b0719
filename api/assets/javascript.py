"""JavaScript as a sequence of tokens (ECMA-262, 12), and written again without comments and needless blanks. Pure.

In markup, which is what the tags `html` and `svg` are for, blanks at the beginning of lines are needless as well.

It knows as much of the language as that needs. Whether a slash begins a regular expression, it decides by the token
before it, which is right for all code but a division after a closing brace or a regular expression after `)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<gap>\s+|//[^\n]*|/\*[\s\S]*?\*/)
  | (?P<string>"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*')
  | (?P<word>[\w$\#\\]+)
  | (?P<mark>[\s\S])
    """,
    re.VERBOSE,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])*/[a-z]*")
_TEMPLATE_PART = re.compile(r"(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?P<end>`|\$\{|\Z)")
_BEFORE_A_REGEX = frozenset(
    {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "await", "yield"}
)
_ENDS_A_VALUE = frozenset(")]}")
_NEVER_AFTER_A_STATEMENT = frozenset(")]},;.?:=|&")
"""Marks that no statement begins with: a line break before them ends none (ECMA-262, 12.10.1)."""

_MARKUP = frozenset({"html", "svg"})
_INDENT = re.compile(r"\n[ \t]+")


class Token(NamedTuple):
    kind: str
    """`word` (a name, keyword or number), `string`, `regex`, `template` (a part of one), or `mark` (one character)."""
    text: str
    line_before: bool
    """True if there is a line break between this token and the one before it."""
    gap_before: bool
    """True if there is anything between them."""


def tokens(source: str) -> Iterator[Token]:
    """Yields the tokens of a module, without comments and blanks. A template literal is one token for each part of it
    that is text, with the tokens of its expressions in between."""
    position, line, gap, length = 0, False, False, len(source)
    before: Token | None = None
    braces: list[int] = []
    """For each template literal around this position, the braces that are open in its expression."""
    match = _TOKEN.match
    while position < length:
        found = match(source, position)
        assert found is not None
        kind, text = found.lastgroup or "", found[0]
        if kind == "gap":
            line, gap = line or "\n" in text, True
            position = found.end()
            continue
        if kind == "mark":
            if text == "/":
                regex = _REGEX.match(source, position) if _may_begin_a_regex(before) else None
                if regex is not None:
                    kind, text = "regex", regex[0]
            elif text == "`" or (text == "}" and braces and braces[-1] == 0):
                if text == "}":
                    braces.pop()
                part = _TEMPLATE_PART.match(source, position + 1)
                assert part is not None
                if part["end"] == "${":
                    braces.append(0)
                kind, text = "template", source[position : part.end()]
            elif braces and text in "{}":
                braces[-1] += 1 if text == "{" else -1
        position += len(text)
        before = Token(kind, text, line, gap)
        yield before
        line = gap = False


def written(found: Iterable[Token]) -> str:
    """Returns the tokens as text, with no more blanks than are needed to read the same tokens and statements again."""
    parts: list[str] = []
    before: Token | None = None
    earlier: Token | None = None
    markup: list[bool] = []
    """For each template literal around this position, whether it is markup."""
    for token in found:
        if before is not None:
            parts.append(_between(earlier, before, token))
        text = token.text
        if token.kind == "template":
            if text[0] == "`":
                markup.append(before is not None and before.text in _MARKUP)
            if markup[-1]:
                text = _INDENT.sub(NEW_LINE, text)
            if not token.text.endswith("${"):
                markup.pop()
        parts.append(text)
        earlier, before = before, token
    return "".join(parts)


NEW_LINE: Final = "\n"


def _between(earlier: Token | None, before: Token, after: Token) -> str:
    if after.line_before and _may_end_a_statement(earlier, before) and not _continues(after):
        return NEW_LINE
    if not after.gap_before:
        return ""
    first, last = after.text[0], before.text[-1]
    if _is_of_a_word(last) and (_is_of_a_word(first) or first == "."):
        return " "
    return " " if first == last and first in "+-/" else ""


def _may_end_a_statement(earlier: Token | None, before: Token) -> bool:
    if before.kind != "mark" or before.text in _ENDS_A_VALUE:
        return True
    # `i++` at the end of a line.
    return before.text in "+-" and earlier is not None and earlier.text == before.text and not before.gap_before


def _continues(token: Token) -> bool:
    return token.kind == "mark" and token.text in _NEVER_AFTER_A_STATEMENT


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or character in "_$#\\"


def _may_begin_a_regex(before: Token | None) -> bool:
    if before is None:
        return True
    if before.kind == "word":
        return before.text in _BEFORE_A_REGEX
    if before.kind == "template":
        return before.text.endswith("${")
    return before.kind == "mark" and before.text not in _ENDS_A_VALUE
