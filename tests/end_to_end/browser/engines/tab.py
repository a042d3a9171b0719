"""What the journeys need of an engine's tab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

ENTER, TAB, SPACE, ESCAPE = "\ue007", "\ue004", " ", "\ue00c"
"""Keys as WebDriver names them (WebDriver, 17.4.2)."""


class Tab(Protocol):
    async def go(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""

    async def travel(self, delta: int) -> None:
        """Go back or forward in the history."""

    async def reload(self) -> None: ...

    async def run(self, function: str, *arguments: Any) -> Any:
        """Returns what a JavaScript function, or its promise, returns for arguments of JSON."""

    async def click(self, x: float, y: float) -> None:
        """Click at a point of the window."""

    async def keys(self, text: str) -> None:
        """Press and release each key."""

    async def choose_file(self, selector: str, path: Path) -> None: ...

    async def faults(self) -> Sequence[str]:
        """The errors on the console, as far as the engine tells them."""


def as_json(function: str) -> str:
    """Returns a function that takes its arguments as JSON, and returns JSON."""
    return f"async (given) => JSON.stringify((await ({function})(...JSON.parse(given))) ?? null)"


def strokes(text: str) -> list[dict[str, str]]:
    """Returns the actions of a keyboard that type this (WebDriver, 17.4.2)."""
    return [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]


def a_click(x: float, y: float) -> list[dict[str, Any]]:
    """Returns the actions of a mouse that click there (WebDriver, 17.4.3)."""
    return [
        {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0},
        {"type": "pointerDown", "button": 0},
        {"type": "pointerUp", "button": 0},
    ]


def decoded(text: str) -> Any:
    return json.loads(text)
