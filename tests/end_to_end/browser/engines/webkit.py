"""WebKitGTK's browser, by WebDriver: https://www.w3.org/TR/webdriver2/. It needs a screen, which Xvfb is."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from development import child
from tests.end_to_end.browser.engines.tab import a_click, as_json, decoded, strokes
from tests.support.ports import free_port
from tests.support.processes import base_environment

DRIVER, SCREEN = "WebKitWebDriver", "Xvfb"
START_SECONDS = 120.0
STOP_SECONDS = 30.0
SCRIPT = """
    const done = arguments[arguments.length - 1];
    ({function})(arguments[0]).then((text) => done({{ text }}), (error) => done({{ error: String(error) }}));
"""


def missing_for_webkit() -> str:
    """The names of the programs that this machine has not."""
    return " and ".join(name for name in (DRIVER, SCREEN) if shutil.which(name) is None)


class DriverFailed(AssertionError):
    """The driver refused a command."""


class WebKitTab:
    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url

    async def send(self, method: str, path: str, **body: Any) -> Any:
        given = body if method == "POST" else None
        async with self._client.request(method, self._url + path, json=given) as answer:
            value = (await answer.json(content_type=None))["value"]
            if answer.status != 200:
                raise DriverFailed(f"{path}: {value['error']}, {value['message']}")
            return value

    async def go(self, url: str) -> None:
        await self.send("POST", "/url", url=url)

    async def travel(self, delta: int) -> None:
        for _ in range(abs(delta)):
            await self.send("POST", "/back" if delta < 0 else "/forward")

    async def reload(self) -> None:
        await self.send("POST", "/refresh")

    async def run(self, function: str, *arguments: Any) -> Any:
        script = SCRIPT.format(function=as_json(function))
        told = await self.send("POST", "/execute/async", script=script, args=[json.dumps(arguments)])
        if "error" in told:
            raise DriverFailed(told["error"])
        return decoded(told["text"])

    async def click(self, x: float, y: float) -> None:
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": a_click(x, y)}
        await self.send("POST", "/actions", actions=[pointer])

    async def keys(self, text: str) -> None:
        await self.send("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes(text)}])

    async def choose_file(self, selector: str, path: Path) -> None:
        found = await self.send("POST", "/element", using="css selector", value=selector)
        [element] = found.values()
        await self.send("POST", f"/element/{element}/value", text=str(path))

    async def faults(self) -> Sequence[str]:
        return ()


@asynccontextmanager
async def webkit(directory: Path) -> AsyncIterator[WebKitTab]:
    """Run WebKit's driver, which starts the browser, on a screen of its own."""
    port = free_port()
    environment = {**base_environment(), "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "LANG": "C.UTF-8"}
    # It writes which number it has taken.
    screen_command = f'exec {SCREEN} -displayfd 9 -screen 0 1400x1000x24 -nolisten tcp 9>"{directory}/number"'
    with (directory / "screen.log").open("wb") as output:
        screen = child.spawn(
            ["/bin/sh", "-c", screen_command],
            death_signal=signal.SIGTERM,
            environment=environment,
            output=output,
        )
    number = directory / "number"
    try:
        assert await child.happens(lambda: number.exists() and number.read_text().endswith("\n"), START_SECONDS)
        environment |= {"DISPLAY": f":{number.read_text().strip()}", "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
        with (directory / "webkit.log").open("wb") as output:
            driver = child.spawn(
                [shutil.which(DRIVER) or DRIVER, f"--port={port}", "--host=127.0.0.1"],
                death_signal=signal.SIGTERM,
                environment=environment,
                output=output,
            )
        try:
            async with _session(f"http://127.0.0.1:{port}") as tab:
                yield tab
        finally:
            await child.stop(driver, (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS))
    finally:
        await child.stop(screen, (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS))


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[WebKitTab]:
    async with aiohttp.ClientSession() as client:
        async with asyncio.timeout(START_SECONDS):
            while not await _is_ready(client, url):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        capabilities = {"alwaysMatch": {"timeouts": {"script": 60_000, "pageLoad": 60_000}}}
        async with client.post(f"{url}/session", json={"capabilities": capabilities}) as answer:
            told = (await answer.json(content_type=None))["value"]
        assert "sessionId" in told, told
        tab = WebKitTab(client, f"{url}/session/{told['sessionId']}")
        try:
            await tab.send("POST", "/window/rect", width=1300, height=950)
            yield tab
        finally:
            await tab.send("DELETE", "")


async def _is_ready(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(f"{url}/status") as answer:
            return bool((await answer.json(content_type=None))["value"]["ready"])
    except aiohttp.ClientError:
        return False
