"""Many clients with phoenix.js, in several versions and over several transports. They run in two Node processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.client import Person, Rest
from tests.support.node import find_node
from tests.support.patience import Patience

SCRIPT = Path(__file__).parents[1] / "end_to_end" / "js" / "outage.js"
CHECK_SECONDS = 0.5
"""The patience, which grows on a busy machine, is asked again after this time."""


class Kind(NamedTuple):
    """How a client is connected."""

    version: str
    how: str
    """`websocket`, `fallback` or `longpoll`."""
    polls: str = "xhr"
    """`xhr`, or `fetch`, which the library uses if there is no XMLHttpRequest."""

    def __str__(self) -> str:
        return " ".join(self) if self.polls == "fetch" else f"{self.version} {self.how}"


KINDS = [
    Kind("1.6", "websocket"),
    Kind("1.6", "longpoll"),
    Kind("1.7", "websocket"),
    Kind("1.7", "fallback"),
    Kind("1.7", "longpoll"),
    Kind("1.8.0", "longpoll"),
    Kind("1.8.0", "longpoll", "fetch"),
    Kind("1.8.5", "longpoll"),
    Kind("1.8.8", "fallback"),
    Kind("1.8", "websocket"),
    Kind("1.8", "fallback"),
    Kind("1.8", "longpoll"),
    Kind("1.8", "fallback", "fetch"),
    Kind("1.8", "longpoll", "fetch"),
]


JOINED = {"joined": True}


@dataclass
class Meeting:
    """One user for each kind of client, by the kind's name, and another user who writes to all of them by REST."""

    rest: Rest
    writer: Person
    people: dict[str, Person]

    @classmethod
    async def of_all_kinds(cls, rest: Rest) -> Meeting:
        writer = await rest.register("Writer")
        return cls(rest, writer, {str(kind): await rest.register(f"Reader{n}") for n, kind in enumerate(KINDS)})

    async def write(self, message: str) -> None:
        for person in self.people.values():
            body = {"to": str(person.id), "message": message}
            await self.rest.call("POST", "/api/messages", 201, who=self.writer, body=body)


@dataclass(frozen=True)
class Told:
    """One report of a client, and the `time.monotonic` of its arrival."""

    at: float
    what: dict[str, Any]


class Crowd:
    """Connects clients, and collects their reports. `url` is the socket's address without the name of a transport."""

    def __init__(self, url: str, processes: dict[str, asyncio.subprocess.Process]) -> None:
        self._url = url
        self._processes = processes
        self._told: dict[str, list[Told]] = {}
        self.thrown: list[str] = []
        """Errors that callbacks of phoenix.js threw. phoenix.js does not work after such an error."""
        self._news = asyncio.Event()
        self._readers = [asyncio.create_task(self._read(process)) for process in processes.values()]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            what = json.loads(line)
            if "thrown" in what:
                self.thrown.append(what["thrown"])
            else:
                self._told.setdefault(what.pop("name"), []).append(Told(time.monotonic(), what))
            self._news.set()

    def connect_all(self, meeting: Meeting, addition: str = "") -> list[str]:
        """Connect a client of each kind. Returns their names: the kind's name and `addition`."""
        for kind in KINDS:
            self.connect(f"{kind}{addition}", kind, meeting.people[str(kind)])
        return [f"{kind}{addition}" for kind in KINDS]

    def connect(self, name: str, kind: Kind, person: Person) -> None:
        given = {"name": name, "version": kind.version, "how": kind.how, "url": self._url}
        line = json.dumps({**given, "token": person.token, "user": str(person.id)})
        stdin = self._processes[kind.polls].stdin
        assert stdin is not None
        stdin.write(line.encode() + b"\n")

    def when(self, name: str, wanted: dict[str, Any], since: float = 0.0) -> float | None:
        """The time of the first report `wanted` since `since`; None if there is none."""
        return next((told.at for told in self._told.get(name, []) if told.at >= since and told.what == wanted), None)

    def ways(self, name: str) -> list[str]:
        """The transports over which a client's connections were open, in order."""
        return [told.what["open"] for told in self._told.get(name, []) if "open" in told.what]

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes in which the clients run."""
        return [process.pid for process in self._processes.values()]

    async def until(self, happened: Callable[[], bool], patience: Patience) -> bool:
        """Wait until a condition holds; False if it does not before the patience is over."""
        while not happened():
            if not patience.left:
                return False
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(patience.left, CHECK_SECONDS)):
                    await self._news.wait()
        return True

    async def all_told(
        self, names: Iterable[str], wanted: dict[str, Any], patience: Patience, since: float = 0.0
    ) -> list[str]:
        """Wait until all these clients have reported `wanted`; returns the names of those that have not in time."""
        names = list(names)

        def missing() -> list[str]:
            return [name for name in names if self.when(name, wanted, since) is None]

        await self.until(lambda: not missing(), patience)
        return missing()

    async def end(self) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*self._readers, *(process.wait() for process in self._processes.values()))


@asynccontextmanager
async def crowd(url: str) -> AsyncIterator[Crowd]:
    found = find_node()
    assert found is not None, "no Node 18 or newer: `make test` brings one"
    pipe = asyncio.subprocess.PIPE
    processes = {
        polls: await asyncio.create_subprocess_exec(found.node, SCRIPT, polls, stdin=pipe, stdout=pipe, limit=2**20)
        for polls in ("xhr", "fetch")
    }
    those = Crowd(url, processes)
    try:
        yield those
    finally:
        await those.end()
