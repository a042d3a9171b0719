"""A person at a tab: finds things by their words, and presses and types, with a mouse or with the keyboard alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.browser.engines.tab import ENTER, SPACE, TAB, Tab

PATIENCE_SECONDS = 45.0
STILL_SECONDS = 0.1
MOST_TABS = 200
_FIND = """
    const shown = (one) => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== "hidden";
    const words = (one) => (one.getAttribute("aria-label") ?? one.textContent).replace(/\\s+/g, " ").trim();
    const find = (kind, name) => {
        // What is behind an open dialog cannot be pressed.
        const within = document.querySelector("dialog[open]") ?? document;
        if (kind === "field") {
            const labels = [...within.querySelectorAll("label")].filter((one) => words(one).startsWith(name));
            const labelled = [...within.querySelectorAll("input, textarea, select")].filter((one) =>
                (one.getAttribute("aria-label") ?? "").startsWith(name));
            return [...labels.map((one) => one.control), ...labelled].find((one) => one && shown(one));
        }
        const all = [...within.querySelectorAll(kind === "text" ? name : "a[href], button, summary")];
        return all.find((one) => shown(one) && words(one) === name);
    };
"""
_PLACE = f"""(kind, name) => {{
    {_FIND}
    const found = find(kind, name);
    if (!found) return null;
    found.scrollIntoView({{ block: "center", behavior: "instant" }});
    const {{ left, top, width, height }} = found.getClientRects()[0];
    const [x, y] = [left + width / 2, top + height / 2];
    const above = document.elementFromPoint(x, y);
    return above && (found.contains(above) || above.contains(found)) ? [x, y] : null;
}}"""
_IS_FOCUSED = f"""(kind, name) => {{
    {_FIND}
    const found = find(kind, name);
    if (!found || document.activeElement !== found) return null;
    const {{ outlineStyle, outlineWidth }} = getComputedStyle(found);
    const {{ top, bottom }} = found.getBoundingClientRect();
    const isOnScreen = bottom > 0 && top < innerHeight;
    const isMarked = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    return {{ isMarked, isOnScreen, tag: found.localName }};
}}"""


@dataclass
class Someone:
    tab: Tab
    url: str
    has_mouse: bool = True

    async def go(self, path: str) -> None:
        await self.tab.go(self.url + path)

    async def press(self, name: str) -> None:
        """Press the link or button of this name."""
        if self.has_mouse:
            await self._click("button", name)
            return
        found = await self._tab_to("button", name)
        await self.tab.keys(ENTER if found["tag"] == "a" else SPACE)

    async def fill(self, name: str, text: str) -> None:
        """Type into the field with this label, instead of what is there."""
        if self.has_mouse:
            await self._click("field", name)
        else:
            await self._tab_to("field", name)
        await self.tab.run("() => document.activeElement.select?.()")
        await self.tab.keys(text)

    async def choose(self, name: str, value: str) -> None:
        """Choose an option of the list with this label, by typing what it begins with, or by its value."""
        if not self.has_mouse:
            await self._tab_to("field", name)
        script = f"""(name, value) => {{
            {_FIND}
            const field = find("field", name);
            if (![...(field?.options ?? [])].some((one) => one.value === value)) return false;
            field.value = value;
            for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, {{ bubbles: true }}));
            return true;
        }}"""
        await self._until(lambda: self.tab.run(script, name, value), f"the option {value} of {name}")

    async def choose_file(self, selector: str, path: Path) -> None:
        await self.tab.choose_file(selector, path)

    async def sees(self, selector: str, text: str = "") -> None:
        """Wait until an element that is shown has this text in it."""
        script = """(selector, text) => [...document.querySelectorAll(selector)].some((one) =>
            one.getClientRects().length > 0 &&
            (one.localName === "textarea" ? one.value : one.textContent).replace(/\\s+/g, " ").includes(text))"""
        await self._until(lambda: self.tab.run(script, selector, text), f"{text!r} in {selector}")

    async def holds(self, function: str, *arguments: Any) -> None:
        await self._until(lambda: self.tab.run(function, *arguments), function)

    async def is_at(self, address: str) -> None:
        """Wait until this is the address: its path and query."""
        await self.holds("(wanted) => location.pathname + location.search === wanted", address)

    async def _click(self, kind: str, name: str) -> None:
        async def still() -> Any:
            """Returns its place if that does not change: a picture that appears above it moves it away."""
            place = await self.tab.run(_PLACE, kind, name)
            await asyncio.sleep(STILL_SECONDS)
            return place if place == await self.tab.run(_PLACE, kind, name) else None

        x, y = await self._until(still, f"the {kind} {name!r}")
        await self.tab.click(x, y)

    async def _tab_to(self, kind: str, name: str) -> dict[str, Any]:
        await self._until(lambda: self.tab.run(_PLACE, kind, name), f"the {kind} {name!r}")
        for _ in range(MOST_TABS):
            found: dict[str, Any] | None = await self.tab.run(_IS_FOCUSED, kind, name)
            if found:
                assert found["isMarked"], f"nothing shows that {name!r} has the focus"
                assert found["isOnScreen"], f"{name!r} has the focus and is not on the screen"
                return found
            await self.tab.keys(TAB)
        raise AssertionError(f"the keyboard does not come to the {kind} {name!r}")

    async def _until(self, look: Callable[[], Awaitable[Any]], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                found = await look()
            except AssertionError:
                # The page was just left, and its scripts with it.
                found = None
            if found:
                return found
            await asyncio.sleep(0.05)
        shown = await self.tab.run("() => [location.href, document.body.innerText.slice(0, 1500)]")
        raise AssertionError(f"did not find {what} at {shown[0]}:\n{shown[1]}")
