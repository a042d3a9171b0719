"""Log lines for a person at a terminal: the time, who, what, with which result, in colours. Pure.

Text that a client chose may have characters that a terminal obeys, or that turn the line around: each is shown as its
number, as in `\\x1b`. So a line stays one line, and says what it is about.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping

LONGEST = 200
"""The most characters of one value."""

_DIM, _BOLD, _RED, _GREEN, _YELLOW, _CYAN = 2, 1, 31, 32, 33, 36
_OF_LEVEL = {"warning": _YELLOW, "error": _RED, "critical": _RED}
_OF_STATUS = {2: _GREEN, 3: _CYAN, 4: _YELLOW, 5: _RED}
_KNOWN = frozenset({"time", "level", "logger", "event", "exception", "stack", "user_id", "left_out"})
"""What has a place of its own in a line."""
_OF_REQUEST = frozenset({"method", "path", "status", "ms", "address", "request_id"})
_TURNING = frozenset({"R", "AL", "AN", "NSM"})
"""Letters that are written from right to left would turn the numbers behind them, and marks are drawn over others."""


def readable(entry: Mapping[str, object], clock: str, process: str, *, has_colours: bool) -> str:
    """Returns one line, and an indented one for each line of a traceback.

    `entry` is what the JSON line would have, already without secrets; `clock` is the time of day.
    """

    def painted(text: str, *codes: int) -> str:
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if has_colours and text and codes else text

    event, level = str(entry["event"]), str(entry["level"])
    is_request = event == "request" and "status" in entry
    parts = [painted(clock, _DIM), painted(f"{process:<12}", _DIM), painted(f"{_who(entry, is_request):<15}", _CYAN)]
    if is_request:
        status = entry["status"]
        code = _OF_STATUS.get(status // 100, _RED) if isinstance(status, int) else _RED
        parts += [f"{_word(entry['method'])} {_word(entry['path'])}", painted(str(status), _BOLD, code)]
        parts.append(f"{entry['ms']} ms")
        if isinstance(status, int) and status >= 500:
            parts.append(f"request_id={shown(entry['request_id'])}")
    else:
        parts.append(painted(shown(event), *((_BOLD, _OF_LEVEL[level]) if level in _OF_LEVEL else ())))
    known = _KNOWN | _OF_REQUEST if is_request else _KNOWN
    parts += [f"{shown(name)}={_value(value)}" for name, value in entry.items() if name not in known]
    if "left_out" in entry:
        parts.append(painted(f"({_value(entry['left_out'])} left out before)", _DIM))
    traces = "\n".join(str(entry[name]) for name in ("exception", "stack") if name in entry)
    return "\n".join((" ".join(parts).rstrip(), *(f"    {_safe(line)}" for line in traces.splitlines())))


def shown(value: object) -> str:
    """Returns a text as it can be shown, shortened to LONGEST characters."""
    text = str(value)
    return _safe(text) if len(text) <= LONGEST else f"{_safe(text[:LONGEST])}…"


def _who(entry: Mapping[str, object], is_request: bool) -> str:
    user_id = entry.get("user_id")
    if user_id is not None:
        return f"user {shown(user_id)}"
    return shown(entry.get("address") or "-") if is_request else "-"


def _word(value: object) -> str:
    # A path with a blank would look as if its status and its time came earlier.
    return shown(value).replace(" ", "%20")


def _value(value: object) -> str:
    if not isinstance(value, str):
        return shown(json.dumps(value, default=str, ensure_ascii=False))
    text = shown(value)
    if text and not any(mark in text for mark in ' "='):
        return text
    return '"' + shown(value.replace("\\", "\\\\")).replace('"', '\\"') + '"'


def _safe(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_character, text))


def _character(one: str) -> str:
    if one.isprintable() and unicodedata.bidirectional(one) not in _TURNING:
        return one
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
