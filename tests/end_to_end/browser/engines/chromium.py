"""Chromium as an engine of the journeys: a page of Playwright."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.end_to_end.browser.engines.tab import ENTER, ESCAPE, SPACE, TAB, as_json, decoded

_NAMES = {ENTER: "Enter", TAB: "Tab", SPACE: "Space", ESCAPE: "Escape"}


class ChromiumTab:
    def __init__(self, page: Page) -> None:
        self._page = page

    async def go(self, url: str) -> None:
        await self._page.goto(url)

    async def travel(self, delta: int) -> None:
        for _ in range(abs(delta)):
            await (self._page.go_back() if delta < 0 else self._page.go_forward())

    async def reload(self) -> None:
        await self._page.reload()

    async def run(self, function: str, *arguments: Any) -> Any:
        return decoded(await self._page.evaluate(as_json(function), json.dumps(arguments)))

    async def click(self, x: float, y: float) -> None:
        await self._page.mouse.click(x, y)

    async def keys(self, text: str) -> None:
        for key in text:
            await self._page.keyboard.press(_NAMES.get(key, key))

    async def choose_file(self, selector: str, path: Path) -> None:
        await self._page.locator(selector).set_input_files(path)

    async def faults(self) -> Sequence[str]:
        # The fixture that opened the page looks at them.
        return ()
