"""Many people who write to each other while the operator breaks or replaces something."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tests.end_to_end.faults.load import Load
from tests.try_deployment.visitors.crowd import NGINX, SOCKET, Crowd
from tests.try_deployment.visitors.watching import Watch


async def begin_chat(crowd: Crowd, users: int, rate: float) -> dict[str, Any]:
    """Let `users` people, each with a socket, send `rate` messages a second together."""
    assert crowd.load is None
    crowd.load = Load(crowd.settings, [SOCKET], users=users, rate=rate, padding=crowd.words)
    await crowd.load.__aenter__()
    await crowd.load.more_acknowledged(users)
    return {"users": len(crowd.load.users)}


async def end_chat(crowd: Crowd) -> dict[str, Any]:
    """End the chat after some more messages. Returns how many were sent, acknowledged, stored and received, and the
    longest time that anybody had no socket."""
    load = crowd.load
    assert load is not None
    try:
        await load.until_all_joined()
        await load.more_acknowledged(2 * len(load.users))
        reckoning = await load.reckon()
        # The sender and the recipient each receive a message.
        missing = (reckoning.acknowledged - reckoning.stored) + (2 * reckoning.stored - reckoning.received)
        return {**asdict(reckoning), "missing": missing, "longest_away": load.longest_away}
    finally:
        crowd.tokens |= {user.token for user in load.users}
        crowd.load = None
        await load.__aexit__()


async def begin_watch(crowd: Crowd, path: str) -> None:
    assert crowd.watch is None
    crowd.watch = Watch(NGINX + path)


async def end_watch(crowd: Crowd) -> dict[str, Any]:
    watch, crowd.watch = crowd.watch, None
    assert watch is not None
    return await watch.end()
