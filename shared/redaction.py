"""Removes secrets from text for the log: tokens in any shape, and values after names of secrets. Pure.

When in doubt it removes too much: the rest of a line still says what happened.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_SHORT = 12
"""Shorter text is neither a token nor a useful part of one."""

_MARKS = ("eyJ", "ZXlK", "%", "...", "earer", "://")
_MARKED = re.compile(
    # A JSON object in base64url, as the first two parts of a JWT are, with the parts that follow; the same in
    # base64 once more; and percent-encoded.
    r"(?:eyJ|ZXlK)[\w%+/=-]*(?:(?:\.|%2[Ee])[\w%+=-]*)*"
    r"|(?:%[2-7][0-9A-Fa-f]){4,}[\w%.-]*"
    # A token in a subprotocol that a client offers, or in a header.
    r"|(?<=bearer\.phx\.)[^\s,\"'\\]+"
    r"|(?<=[Bb]earer )[^\s,\"'\\]+"
    # The two ends of a text that was shortened in the middle.
    r"|[\w%+/=-]{0,40}\.\.\.[\w%+/=-]{6,}"
    # User and password in a server's address. No character can match in two ways, because clients choose them.
    r"|(?<=://)[^\s/@\"':]*+:[^\s/@\"']*+(?=@)",
    re.ASCII,
)
# Any other run of characters that is too long and too mixed to be a word: a signature, a refresh token, a key.
_LONG = 20
_RUN = re.compile(r"[\w%+=.-]{20,}+", re.ASCII)
_MIXED = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])", re.ASCII)
_LONG_MIXED = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z]).{36}", re.ASCII)

_KINDS_OF_KEYS = ("api", "access", "license", "private")
_NAMES = (
    *(
        "token",
        "passw",
        "secret",
        "jwt",
        "credential",
        "authorization",
        "cookie",
        "websocket-protocol",
        "honeycomb-team",
    ),
    *(f"{kind}{between}key" for kind in _KINDS_OF_KEYS for between in ("", "-", "_")),
)
# What may be between a name and its value, in a query, a header, a dict, a tuple, JSON, or JSON within JSON.
_BETWEEN = r"(?:%3D|[\"'\\]*\s*(?:=|:|,(?=\s*b?[\"'\\]))\s*b?[\"'\\]*)"
_NAMED = re.compile(
    # A list of secrets, whose parts have commas between them.
    rf"((?:jwt_)?secrets{_BETWEEN})([^\s\"'&;)}}\\]+)"
    rf"|((?:token|password|passwd|secret|jwt|credential|honeycomb-team|(?:{'|'.join(_KINDS_OF_KEYS)})[-_]?key)[\w-]{{0,30}}{_BETWEEN})([^\s\"'&,;)}}\\]+)"
    # Headers whose whole value is secret.
    rf"|((?:authorization|cookie|websocket-protocol){_BETWEEN})([^\"'\\\r\n]+)",
    re.ASCII | re.IGNORECASE,
)

_COUNT = re.compile(r"(?:workers|seconds|bytes|minute|passwords|tokens)[\"'\\]*\s*[=:]", re.ASCII | re.IGNORECASE)
"""The end of a setting's name, such as ACCESS_TOKEN_SECONDS. Its number is not secret."""


def redacted(text: str) -> str:
    """Returns the text with each possible secret replaced by `[redacted]`."""
    if len(text) < _SHORT:
        return text
    # Most logged text is short and harmless, so the cheapest checks come first.
    lower = text.lower()
    for name in _NAMES:
        if name in lower:
            text = _NAMED.sub(_without_value, text)
            break
    for mark in _MARKS:
        if mark in text:
            text = _MARKED.sub(REDACTED, text)
            break
    return _RUN.sub(_unless_a_word, text) if len(text) >= _LONG else text


def redacted_field(name: str, value: Any) -> Any:
    """Returns the value of a log field without secrets. The field's name decides first, then the value's text.

    Searches dicts and sequences. Converts other values to text, except numbers.
    """
    if value is None or type(value) in (int, float, bool):
        return value
    if _names_a_secret(name):
        return REDACTED
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(str(key)): redacted_field(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted_field("", inner) for inner in value]
    return redacted(str(value))


@lru_cache(maxsize=1000)
def _names_a_secret(name: str) -> bool:
    lower = name.lower()
    return any(part in lower for part in _NAMES)


def _without_value(match: re.Match[str]) -> str:
    assert match.lastindex is not None
    name, value = match[match.lastindex - 1], match[match.lastindex]
    return match[0] if value.isdigit() and _COUNT.search(name) else f"{name}{REDACTED}"


def _unless_a_word(match: re.Match[str]) -> str:
    # The parts of a token are judged together: one part alone, such as a session id, may look like a word.
    run = match[0]
    for part in run.split("."):
        if len(part) >= _LONG and (_MIXED.match(part) or _LONG_MIXED.match(part)):
            return REDACTED
    return run
