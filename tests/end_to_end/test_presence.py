"""The presence list that the Phoenix client shows, with clients on two gateway nodes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.access.tokens import Tokens
from shared.domain.users import Role
from tests.lab.__main__ import DEFAULT_SECRET
from tests.support.node import find_node
from tests.support.processes import Node, Processes
from tests.support.waiting import PATIENCE_SECONDS

SCRIPT = Path(__file__).parent / "js" / "presence.js"
TOPIC = "lab:presence:e2e"


class Clients:
    """The JavaScript clients; `shown` has each one's presence list of keys and metas."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.shown: dict[str, list[Any]] = {}
        self._process = process

    async def until(self, happened: Callable[[dict[str, dict[str, list[Any]]]], bool]) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened({name: dict(pairs) for name, pairs in self.shown.items()}):
                line = await self._process.stdout.readline()
                assert line, "the clients ended"
                name, pairs = json.loads(line)
                self.shown[name] = pairs

    async def leave(self, name: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"leave {name}\n".encode())
        await self._process.stdin.drain()


@asynccontextmanager
async def clients(*joins: tuple[str, Node, str]) -> AsyncIterator[Clients]:
    """Start clients; each argument is a client's name, its node and its presence key."""
    tokens = Tokens((DEFAULT_SECRET,), 600)
    arguments = [
        {
            "name": name,
            "url": node.socket_url.removesuffix("/websocket"),
            "token": tokens.issue(number, Role.USER, None),
            "topic": TOPIC,
            "params": {"key": key, "meta": {"client": name}},
        }
        for number, (name, node, key) in enumerate(joins, 1)
    ]
    found = find_node()
    assert found is not None
    process = await asyncio.create_subprocess_exec(
        found.node, SCRIPT, json.dumps(arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Clients(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.communicate()


def keys(shown: dict[str, list[Any]]) -> dict[str, int]:
    return {key: len(metas) for key, metas in shown.items()}


async def test_clients_on_both_nodes_see_each_other(processes: Processes) -> None:
    redis = processes.settings.redis_url
    first, second = await processes.lab("--redis-url", redis), await processes.lab("--redis-url", redis)
    everybody = {"alice": 2, "__proto__": 1, "constructor": 1, "": 1}
    async with clients(
        ("a", first, "alice"),
        ("b", second, "__proto__"),
        ("c", first, "constructor"),
        ("d", second, "alice"),
        ("e", second, ""),
    ) as the_clients:
        await the_clients.until(
            lambda shown: len(shown) == 5 and all(keys(list_) == everybody for list_ in shown.values())
        )
        await the_clients.leave("d")
        await the_clients.until(lambda shown: all(len(shown[name]["alice"]) == 1 for name in "abce"))
        await the_clients.leave("b")
        await the_clients.until(
            lambda shown: all(keys(shown[n]) == {"alice": 1, "constructor": 1, "": 1} for n in "ace")
        )
        assert [meta["client"] for meta in dict(the_clients.shown["e"])["alice"]] == ["a"]


async def test_the_clients_of_a_killed_node_leave_and_join_again_at_another_one(processes: Processes) -> None:
    redis = processes.settings.redis_url
    first, second = await processes.lab("--redis-url", redis), await processes.lab("--redis-url", redis)
    async with clients(("a", first, "alice"), ("b", second, "bob")) as the_clients:
        await the_clients.until(lambda shown: all(keys(shown.get(name, {})) == {"alice": 1, "bob": 1} for name in "ab"))
        second.kill()
        await the_clients.until(lambda shown: keys(shown["a"]) == {"alice": 1})
        async with clients(("b", first, "bob")) as again:
            await again.until(lambda shown: keys(shown.get("b", {})) == {"alice": 1, "bob": 1})
            await the_clients.until(lambda shown: keys(shown["a"]) == {"alice": 1, "bob": 1})
