"""One person's client, which connects again, catches up and repeats unanswered sends as the JavaScript client does.

It keeps all sent, acknowledged and received messages for the comparison at the end of a test.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

RETRY_SECONDS = 0.1
PASSING = ("try again", "too many requests")
"""A send that is refused for one of these reasons is repeated."""


@dataclass(frozen=True)
class Absence:
    """The seconds in which a user was without a joined socket, by what the user waited for."""

    before: float
    """Until the handshake that succeeded: the client's own waits, and handshakes that were refused."""
    handshake: float
    join: float
    """Until the join was answered, with all that was missed."""

    @property
    def total(self) -> float:
        return self.before + self.handshake + self.join

    def __str__(self) -> str:
        return f"{self.before:.1f} before the handshake, {self.handshake:.1f} in it, {self.join:.1f} for the join"


class User:
    """`pick` gives the address for each connect, as a load balancer would; `changed` is called after each event."""

    def __init__(
        self,
        user_id: int,
        token: str,
        pick: Callable[[], str],
        client: aiohttp.ClientSession,
        changed: Callable[[], None],
        heartbeat_seconds: float = 30.0,
    ) -> None:
        self.id = user_id
        self.topic = f"private_chat:{user_id}"
        self.position = 0
        """This user has received all messages up to this id."""
        self.received: dict[int, dict[str, Any]] = {}
        self.deliveries = 0
        """Deliveries of messages, including repeated ones."""
        self.unanswered: dict[str, dict[str, Any]] = {}
        self.acknowledged: dict[str, int] = {}
        """Message ids by client_ref."""
        self.errors: Counter[str] = Counter()
        self.longest_answer = 0.0
        """The most seconds from a push to its answer: an acknowledgement or an error."""
        self.connects = 0
        self.refusals: Counter[int] = Counter()
        """The number of refused handshakes by HTTP status."""
        self.close_codes: list[int | None] = []
        self.absences: list[Absence] = []
        """Those that have ended."""
        self.joined = False
        self.token = token
        self._pick = pick
        self._client = client
        self._changed = changed
        self._heartbeat_seconds = heartbeat_seconds
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._refs = 0
        self._join_ref = ""
        self._pushed: dict[str, tuple[str, float]] = {}
        self._live_top = 0
        self._last_frame = 0.0
        self._away_since: float | None = None
        self._asked_at = self._opened_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner = asyncio.create_task(self._run())

    async def stop(self) -> None:
        for task in [self._runner, *self._tasks]:
            task.cancel()
        await asyncio.gather(self._runner, *self._tasks, return_exceptions=True)

    @property
    def longest_away(self) -> float:
        """The most seconds from the loss of a socket to the answer to the join on the next one."""
        longest = max((absence.total for absence in self.absences), default=0.0)
        if self._away_since is None:
            return longest
        return max(longest, asyncio.get_running_loop().time() - self._away_since)

    async def send(self, to: int, ref: str, padding: str = "") -> None:
        """Send a message whose text begins with its client_ref, and repeat it until it is answered."""
        payload = {"to": str(to), "message": f"{ref} {padding}", "client_ref": ref}
        self.unanswered[ref] = payload
        if self.joined:
            await self._push(ref)

    async def _push(self, ref: str) -> None:
        self._refs += 1
        push_ref = f"p{self._refs}"
        self._pushed[push_ref] = (ref, asyncio.get_running_loop().time())
        await self._say(self._join_ref, push_ref, self.topic, "send", self.unanswered[ref])

    async def _say(self, *frame: Any) -> None:
        if self._socket is not None:
            # `_read` notices a lost connection, too.
            with suppress(OSError, aiohttp.ClientError):
                await self._socket.send_str(json.dumps(frame))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._asked_at = loop.time()
            try:
                query = {"token": self.token, "vsn": "2.0.0"}
                async with self._client.ws_connect(
                    self._pick(), params=query, max_msg_size=0, timeout=_CLOSE
                ) as socket:
                    self._socket, self._opened_at = socket, loop.time()
                    self.connects += 1
                    heart = asyncio.create_task(self._heartbeat(socket))
                    try:
                        await self._join()
                        await self._read(socket)
                    finally:
                        heart.cancel()
                        if self.joined:
                            self._away_since = loop.time()
                        self.joined = False
                        self._socket = None
                        self._pushed.clear()
                    self.close_codes.append(socket.close_code)
            except aiohttp.WSServerHandshakeError as refused:
                self.refusals[refused.status] += 1
            except (OSError, aiohttp.ClientError, TimeoutError):
                pass
            self._changed()
            await asyncio.sleep(random.uniform(0.02, RETRY_SECONDS))

    async def _join(self) -> None:
        self.joined = False
        self._live_top = 0
        self._refs += 1
        self._join_ref = f"j{self._refs}"
        await self._say(self._join_ref, self._join_ref, self.topic, "phx_join", {"after_id": self.position})

    async def _heartbeat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send heartbeats. Abort the connection if nothing arrives after one."""
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await self._say(None, "beat", "phoenix", "heartbeat", {})
            await asyncio.sleep(self._heartbeat_seconds)
            if self._last_frame < asked:
                break
        response = socket._response
        if response.connection is not None and response.connection.transport is not None:
            response.connection.transport.abort()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            self._last_frame = loop.time()
            join_ref, ref, topic, event, payload = json.loads(message.data)
            if topic != self.topic:
                continue
            if event == "send":
                self._receive(payload)
                self._live_top = max(self._live_top, payload["id"])
                if self.joined:
                    self.position = max(self.position, payload["id"])
            elif event == "phx_reply" and ref == self._join_ref:
                await self._join_answered(payload)
            elif event == "phx_reply" and ref in self._pushed:
                self._answered(*self._pushed.pop(ref), payload)
            elif event in ("phx_error", "phx_close") and join_ref == self._join_ref:
                self.errors[event] += 1
                await self._join()
            self._changed()

    async def _join_answered(self, payload: dict[str, Any]) -> None:
        if payload["status"] != "ok":
            self.errors[f"join: {payload['response']['reason']}"] += 1
            self._later(self._join)
            return
        messages = payload["response"]["messages"]
        for message in messages:
            self._receive(message)
        if messages:
            self.position = max(self.position, messages[-1]["id"])
        if not payload["response"]["complete"]:
            await self._join()
            return
        self.position = max(self.position, self._live_top)
        self.joined = True
        self._is_back()
        for ref in list(self.unanswered):
            await self._push(ref)

    def _is_back(self) -> None:
        if self._away_since is not None:
            now, asked, opened = asyncio.get_running_loop().time(), self._asked_at, self._opened_at
            self.absences.append(Absence(asked - self._away_since, opened - asked, now - opened))
            self._away_since = None

    def _answered(self, ref: str, pushed_at: float, payload: dict[str, Any]) -> None:
        self.longest_answer = max(self.longest_answer, asyncio.get_running_loop().time() - pushed_at)
        if ref not in self.unanswered:
            return  # Answered before.
        if payload["status"] == "ok":
            del self.unanswered[ref]
            self.acknowledged[ref] = payload["response"]["id"]
            return
        reason = payload["response"]["reason"]
        self.errors[reason] += 1
        if reason in PASSING:
            self._later(lambda: self._push_again(ref))

    async def _push_again(self, ref: str) -> None:
        if self.joined and ref in self.unanswered:
            await self._push(ref)

    def _later(self, action: Callable[[], Any]) -> None:
        async def act() -> None:
            socket = self._socket
            await asyncio.sleep(RETRY_SECONDS)
            if self._socket is socket:
                await action()

        task = asyncio.create_task(act())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _receive(self, message: dict[str, Any]) -> None:
        self.deliveries += 1
        self.received.setdefault(message["id"], message)


_CLOSE = aiohttp.ClientWSTimeout(ws_close=1.0)
