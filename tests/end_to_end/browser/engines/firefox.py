"""Debian's Firefox, by WebDriver BiDi: https://www.w3.org/TR/webdriver-bidi/."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from development import child
from tests.end_to_end.browser.engines.tab import a_click, as_json, decoded, strokes
from tests.support.processes import base_environment

NAMES = ("firefox-esr", "firefox")
START_SECONDS = 120.0
STOP_SECONDS = 30.0
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    # Two processes for pages are enough.
    "dom.ipc.processCount": 1,
}


def find_firefox() -> str | None:
    """The path of the machine's Firefox; None without one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class BidiFailed(AssertionError):
    """Firefox refused a command."""


class _Session:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []
        self.reader = asyncio.create_task(self._read())

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": parameters}))
        told = await self._waiting[number]
        if told["type"] == "error":
            raise BidiFailed(f"{method}: {told['error']}, {told['message']}")
        result: dict[str, Any] = told["result"]
        return result

    async def _read(self) -> None:
        async for frame in self._socket:
            told = json.loads(frame.data)
            if told.get("id") in self._waiting:
                self._waiting.pop(told["id"]).set_result(told)
            elif told.get("method") == "log.entryAdded" and told["params"]["level"] == "error":
                text = str(told["params"]["text"])
                # A page that is left cuts its connection: that is no fault of the page.
                if "ws://" not in text:
                    self.errors.append(text)
        for future in self._waiting.values():
            future.set_exception(BidiFailed("Firefox has gone"))


class FirefoxTab:
    def __init__(self, session: _Session, context: str) -> None:
        self._session = session
        self._context = context

    async def go(self, url: str) -> None:
        await self._session.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def resize(self, width: int, height: int) -> None:
        viewport = {"width": width, "height": height}
        await self._session.send("browsingContext.setViewport", context=self._context, viewport=viewport)

    async def travel(self, delta: int) -> None:
        await self._session.send("browsingContext.traverseHistory", context=self._context, delta=delta)

    async def reload(self) -> None:
        await self._session.send("browsingContext.reload", context=self._context, wait="complete")

    async def run(self, function: str, *arguments: Any) -> Any:
        told = await self._session.send(
            "script.callFunction",
            functionDeclaration=as_json(function),
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
            target={"context": self._context},
            awaitPromise=True,
        )
        if told["type"] == "exception":
            raise BidiFailed(told["exceptionDetails"]["text"])
        return decoded(told["result"]["value"])

    async def click(self, x: float, y: float) -> None:
        await self._act({"type": "pointer", "id": "mouse", "actions": a_click(x, y)})

    async def keys(self, text: str) -> None:
        await self._act({"type": "key", "id": "keyboard", "actions": strokes(text)})

    async def choose_file(self, selector: str, path: Path) -> None:
        found = await self._session.send(
            "browsingContext.locateNodes", context=self._context, locator={"type": "css", "value": selector}
        )
        [node] = found["nodes"]
        await self._session.send(
            "input.setFiles", context=self._context, element={"sharedId": node["sharedId"]}, files=[str(path)]
        )

    async def faults(self) -> Sequence[str]:
        return self._session.errors

    async def _act(self, source: dict[str, Any]) -> None:
        await self._session.send("input.performActions", context=self._context, actions=[source])


@asynccontextmanager
async def firefox(
    program: str, directory: Path, preferences: Mapping[str, object] | None = None
) -> AsyncIterator[FirefoxTab]:
    """Run Firefox with a new profile in the directory, which it leaves, and with these preferences of its person."""
    profile = directory / "profile"
    profile.mkdir()
    given = {**PREFERENCES, **(preferences or {})}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in given.items()]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    path = directory / "firefox.log"
    environment = {**base_environment(), "HOME": str(directory), "MOZ_CRASHREPORTER_DISABLE": "1"}
    command = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    with path.open("wb") as output:
        process = child.spawn(command, death_signal=signal.SIGTERM, environment=environment, output=output)
    told = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
    try:
        is_up = await child.happens(
            lambda: process.poll() is not None or bool(told.search(path.read_text(errors="replace"))), START_SECONDS
        )
        found = told.search(path.read_text(errors="replace"))
        assert is_up, "Firefox did not start"
        assert found, path.read_text(errors="replace")
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{found[1]}/session", max_msg_size=0) as socket,
        ):
            session = _Session(socket)
            await session.send("session.new", capabilities={})
            await session.send("session.subscribe", events=["log.entryAdded"])
            context = (await session.send("browsingContext.create", type="tab"))["context"]
            tab = FirefoxTab(session, context)
            await tab.resize(1280, 900)
            yield tab
            session.reader.cancel()
    finally:
        await child.stop(process, (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS))
