"""Plays recorded sessions against running nodes, and reports where the answers differ. Shares no code with the gateway.

A recording is a list of scenarios `{"name", "steps"}`. A step says what one client did. Its `then` has all frames that
the connections received before they fell quiet:

    {"conn": "a", "connect": {"user": 1, "vsn": "2.0.0", "params": {}, "auth": "query|protocol|none|bad"}}
    {"conn": "a", "text": "..."}, {"conn": "a", "binary": "<hex>"}, {"conn": "a", "close": 1000}, {"wait": 0.2}

    {"conn", "open": <subprotocol>}, {"conn", "refused": <status>}, {"conn", "text": <value>},
    {"conn", "binary": "<hex>"}, {"conn", "close": <code>}

After a step with `fast` the player does not wait; the answers are among those of the next step.

The player waits for frames, not for time. A step is over when all connections have got as many frames as were recorded,
and each has then answered a heartbeat. An unexpected frame appears before that answer, or in a later step.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import aiohttp

from tests.lab.tokens import token_of

FRAME_SECONDS = 10.0
"""How long the player waits for a recorded frame, on a machine that may be busy."""
STRAY_SECONDS = 0.05
"""How long the player listens for unexpected frames after the end of a scenario."""
AT_ONE_TIME = 12
"""The number of scenarios that are played at a time. Each has its own users and topics."""

Seen = dict[str, Any]


class Line:
    """One client's connection. It records every frame, and keeps the answers to its heartbeats apart."""

    def __init__(self, name: str, socket: aiohttp.ClientWebSocketResponse, vsn: str | None, noted: Noted) -> None:
        self.name = name
        self.socket = socket
        self.is_open = True
        self._speaks_arrays = vsn is not None and vsn.startswith("2.")
        self._noted = noted
        self._heartbeats = 0
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while self.is_open:
            message = await self.socket.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    value = json.loads(message.data)
                    ref = value[1] if type(value) is list else value["ref"]
                    if type(ref) is str and ref.startswith("barrier "):
                        self._noted.answered(ref)
                    else:
                        self._noted.add({"conn": self.name, "text": value})
                case aiohttp.WSMsgType.BINARY:
                    self._noted.add({"conn": self.name, "binary": message.data.hex()})
                case _:
                    self.is_open = False
                    code = message.data if message.type is aiohttp.WSMsgType.CLOSE else self.socket.close_code
                    self._noted.add({"conn": self.name, "close": code or 1006})

    async def heartbeat(self) -> str:
        """Send a heartbeat, and return its ref."""
        self._heartbeats += 1
        ref = f"barrier {self.name} {self._heartbeats}"
        if self._speaks_arrays:
            frame: Any = [None, ref, "phoenix", "heartbeat", {}]
        else:
            frame = {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": ref}
        await self.socket.send_str(json.dumps(frame))
        return ref

    async def send(self, step: dict[str, Any]) -> None:
        if "text" in step:
            await self.socket.send_str(step["text"])
        elif "binary" in step:
            await self.socket.send_bytes(bytes.fromhex(step["binary"]))
        else:
            await self.hang_up(step["close"])

    async def hang_up(self, code: int = 1000) -> None:
        self.is_open = False
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)
        await self.socket.close(code=code)


class Noted:
    """Records what all connections of a scenario have received since the last `take`."""

    def __init__(self, frame_seconds: float) -> None:
        self._frame_seconds = frame_seconds
        self._seen: list[Seen] = []
        self._answers: set[str] = set()
        self._changed = asyncio.Event()

    def add(self, seen: Seen) -> None:
        self._seen.append(seen)
        self._changed.set()

    def answered(self, ref: str) -> None:
        self._answers.add(ref)
        self._changed.set()

    def take(self) -> list[Seen]:
        seen, self._seen = self._seen, []
        return seen

    async def has(self, wanted: Counter[str]) -> None:
        """Wait until every stream has the wanted number of frames, or until the timeout: the caller compares."""
        await self._until(lambda: not wanted - Counter(stream_of(seen) for seen in self._seen))

    async def has_answers(self, lines: dict[str, Line]) -> None:
        """Wait until every line has answered its heartbeat or is closed. The keys are the refs of the heartbeats."""
        await self._until(lambda: all(ref in self._answers or not line.is_open for ref, line in lines.items()))

    async def _until(self, condition: Callable[[], bool]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._frame_seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()


class Player:
    """Plays scenarios against one or more nodes. Connection `a` goes to the first, `b` to the second, and so on."""

    def __init__(self, addresses: list[str], secret: str, *, frame_seconds: float = FRAME_SECONDS) -> None:
        self._addresses = addresses
        self._secret = secret
        self._frame_seconds = frame_seconds

    async def differences(self, scenarios: Iterable[dict[str, Any]]) -> list[str]:
        """Play the scenarios; return a text for each one that differs from its recording."""
        turn = asyncio.Semaphore(AT_ONE_TIME)
        connector = aiohttp.TCPConnector(limit=0)

        async def play(scenario: dict[str, Any]) -> str | None:
            async with turn:
                return await self._play(client, scenario)

        async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
            plays = [group.create_task(play(scenario)) for scenario in scenarios]
        return [difference for play_ in plays if (difference := play_.result()) is not None]

    async def _play(self, client: aiohttp.ClientSession, scenario: dict[str, Any]) -> str | None:
        lines: dict[str, Line] = {}
        noted = Noted(self._frame_seconds)
        try:
            for number, step in enumerate(scenario["steps"]):
                await self._act(client, step, lines, noted)
                if step.get("fast"):
                    continue
                await noted.has(Counter(map(stream_of, step["then"])))
                await _barrier(lines, noted)
                want, got = by_stream(step["then"]), by_stream(noted.take())
                if want != got:
                    return _difference(f"{scenario['name']}, step {number}", step, want, got)
            await asyncio.sleep(STRAY_SECONDS)
            await _barrier(lines, noted)
            stray = by_stream(noted.take())
            return _difference(f"{scenario['name']}, after its end", {}, {}, stray) if stray else None
        finally:
            for line in lines.values():
                await line.hang_up()

    async def _act(
        self, client: aiohttp.ClientSession, step: dict[str, Any], lines: dict[str, Line], noted: Noted
    ) -> None:
        if "wait" in step:
            return
        name = step["conn"]
        if "connect" in step:
            await self._connect(client, name, step["connect"], lines, noted)
        elif name in lines and lines[name].is_open:
            await lines[name].send(step)

    async def _connect(
        self, client: aiohttp.ClientSession, name: str, how: dict[str, Any], lines: dict[str, Line], noted: Noted
    ) -> None:
        address = self._addresses[(ord(name[0]) - ord("a")) % len(self._addresses)]
        query = dict(how.get("params", {}))
        if how.get("vsn") is not None:
            query["vsn"] = how["vsn"]
        token = token_of(how.get("user", 1), secret=self._secret)
        protocols: tuple[str, ...] = ()
        match how.get("auth", "query"):
            case "query":
                query["token"] = token
            case "bad":
                query["token"] = "not.a.token"
            case "protocol":
                encoded = base64.b64encode(token.encode()).decode().rstrip("=")
                protocols = ("phoenix", f"base64url.bearer.phx.{encoded}")
        try:
            socket = await client.ws_connect(
                f"{address}/socket/websocket",
                params=query,
                protocols=protocols,
                headers=how.get("headers"),
                max_msg_size=0,
            )
        except aiohttp.WSServerHandshakeError as refusal:
            noted.add({"conn": name, "refused": refusal.status})
            return
        noted.add({"conn": name, "open": socket.protocol})
        lines[name] = Line(name, socket, how.get("vsn"), noted)


async def _barrier(lines: dict[str, Line], noted: Noted) -> None:
    """Send a heartbeat on every line. When it is answered, everything sent before has been answered too."""
    await noted.has_answers({await line.heartbeat(): line for line in lines.values() if line.is_open})


def _difference(place: str, step: dict[str, Any], want: dict[str, Any], got: dict[str, Any]) -> str:
    action = {key: value for key, value in step.items() if key != "then"}
    lines = [f"{place}: {json.dumps(action)[:300]}"]
    for stream in sorted({*want, *got}):
        if want.get(stream) != got.get(stream):
            lines.append(f"  {stream} want {json.dumps(want.get(stream, []))[:700]}")
            lines.append(f"  {stream} got  {json.dumps(got.get(stream, []))[:700]}")
    return "\n".join(lines)


# The comparison


def stream_of(seen: Seen) -> str:
    """The stream of a frame. The order counts only within a stream: presence diffs come independently of replies."""
    text = seen.get("text")
    event = text[3] if type(text) is list and len(text) > 3 else text.get("event") if type(text) is dict else None
    return f"{seen['conn']} presence" if event == "presence_diff" else str(seen["conn"])


def by_stream(frames: list[Seen]) -> dict[str, list[str]]:
    streams: dict[str, list[str]] = {}
    for seen in frames:
        if not _is_late(seen):
            frame = {key: normalized(value) for key, value in seen.items() if key != "conn"}
            streams.setdefault(stream_of(seen), []).append(json.dumps(frame, sort_keys=True))
    return streams


def _is_late(seen: Seen) -> bool:
    """True for frames of the slow channel: its recording ends before it answers."""
    text = seen.get("text")
    return type(text) is list and len(text) > 2 and text[2] == "lab:slow"


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def normalized(value: Any) -> Any:
    """The value without the parts that differ in every run: presence refs, ids of messages, and times."""
    if isinstance(value, dict):
        return dict(_normalized_items(value))
    if isinstance(value, list):
        return [normalized(one) for one in value]
    return value


def _normalized_items(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if key in ("phx_ref", "phx_ref_prev"):
            yield key, "<ref>"
        elif key == "id" and isinstance(inner, int):
            yield key, "<id>"
        elif isinstance(inner, str) and _TIME.match(inner):
            yield key, "<time>"
        else:
            yield key, normalized(inner)
