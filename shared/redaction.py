"""Removes secrets from text on its way to the log: tokens in any shape, and values behind the names of secrets.

Pure. When in doubt it removes too much: the rest of a line still says what happened.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_SHORT = 12
"""Shorter text is not a token, nor a useful part of one."""

_MARKS = ("eyJ", "ZXlK", "%", "...", "earer", "://")
_MARKED = re.compile(
    # A JSON object in base64url, as the first two parts of a JWT are, with whatever parts follow; then the same in
    # base64 once more, and percent-encoded.
    r"(?:eyJ|ZXlK)[\w%+/=-]*(?:(?:\.|%2[Ee])[\w%+=-]*)*"
    r"|(?:%[2-7][0-9A-Fa-f]){4,}[\w%.-]*"
    # A token that a client offers among its subprotocols, or in a header.
    r"|(?<=bearer\.phx\.)[^\s,\"'\\]+"
    r"|(?<=[Bb]earer )[^\s,\"'\\]+"
    # The two ends of a text that was shortened in its middle.
    r"|[\w%+/=-]{0,40}\.\.\.[\w%+/=-]{6,}"
    # The user and the password in the address of a server. No character has two ways to match: a client chooses them.
    r"|(?<=://)[^\s/@\"':]*+:[^\s/@\"']*+(?=@)",
    re.ASCII,
)
# Any other run of characters that is too long and too mixed to be words: a signature, a refresh token, a key.
_LONG = 20
_RUN = re.compile(r"[\w%+=-]{20,}+", re.ASCII)
_MIXED = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])", re.ASCII)
_LONG_MIXED = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z]).{36}", re.ASCII)

_NAMES = ("token", "passw", "secret", "jwt", "credential", "authorization", "cookie", "websocket-protocol")
# What may stand between a name and its value, in a query, a header, a dict, a tuple, JSON, or JSON within JSON.
_BETWEEN = r"(?:%3D|[\"'\\]*\s*(?:=|:|,(?=\s*b?[\"'\\]))\s*b?[\"'\\]*)"
_NAMED = re.compile(
    rf"((?:token|password|passwd|secret|jwt|credential)[\w-]{{0,30}}{_BETWEEN})([^\s\"'&,;)}}\\]+)"
    # Headers whose whole value is secret.
    rf"|((?:authorization|cookie|websocket-protocol){_BETWEEN})([^\"'\\\r\n]+)",
    re.ASCII | re.IGNORECASE,
)

_COUNT = re.compile(r"(?:workers|seconds|bytes|minute|passwords|tokens)[\"'\\]*\s*[=:]", re.ASCII | re.IGNORECASE)
"""The end of a name that is a setting's, such as ACCESS_TOKEN_SECONDS: its number is not secret."""


def redacted(text: str) -> str:
    """The text, with each possible secret replaced by `[redacted]`."""
    if len(text) < _SHORT:
        return text
    # Most logged text is short and harmless: the cheapest checks come first.
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
    """The value of a log field without secrets: the name decides first, then the text of the value.

    Dicts and sequences are searched; any other value than a number becomes text.
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
    name, value = match[1] or match[3], match[2] or match[4]
    return match[0] if value.isdigit() and _COUNT.search(name) else f"{name}{REDACTED}"


def _unless_a_word(match: re.Match[str]) -> str:
    run = match[0]
    return REDACTED if _MIXED.match(run) or _LONG_MIXED.match(run) else run
