"""Ended connections, channels and sessions leave no reference circles, which only the garbage collector could free.

A full collection stalls a node that holds millions of objects for hours. So the node must not depend on one.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import BINARY, CLOSE, PING, RawSocket, frame
from tests.lab.tokens import token_of

TIMES = 5
TOPIC = "lab:room:1"


@contextmanager
def left_behind() -> Iterator[Counter[str]]:
    """Turn the collector off, and count by type the objects that only it could free."""
    counted: Counter[str] = Counter()
    gc.collect()
    # The collector need not look through the objects that pytest and the tests have loaded.
    gc.freeze()
    gc.disable()
    try:
        yield counted
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        counted.update(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.unfreeze()


USERS = itertools.count(1000)


def message(ref: str, event: str, payload: Any = None, *, join_ref: str = "j1", topic: str = TOPIC) -> bytes:
    return json.dumps([join_ref, ref, topic, event, {} if payload is None else payload]).encode()


def join(topic: str = TOPIC, join_ref: str = "j1", payload: Any = None) -> bytes:
    return frame(message("join", "phx_join", payload, join_ref=join_ref, topic=topic))


async def pushes(raw: RawSocket, event: str, payload: Any = None, *, answers: int = 1, topic: str = TOPIC) -> None:
    raw.send(frame(message("1", event, payload, topic=topic)))
    for _ in range(answers):
        await raw.receive()


async def request(lab: LabServer, method: str, path: str, body: bytes = b"") -> bytes:
    """Send a request on a new connection, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def joined(lab: LabServer, topic: str = TOPIC, payload: Any = None, user: int = 1) -> RawSocket:
    raw = await lab.connect_raw(user)
    raw.send(join(topic, payload=payload))
    await raw.receive()
    return raw


# The lives of one connection. Each function opens a new connection.


async def is_cut(lab: LabServer) -> None:
    await (await joined(lab)).close()


async def is_cut_with_a_frame_on_its_way(lab: LabServer) -> None:
    raw = await joined(lab)
    raw.send(frame(message("1", "echo")))
    await raw.close()


async def is_cut_together_with_others(lab: LabServer) -> None:
    sockets = await asyncio.gather(*(joined(lab) for _ in range(20)))
    for raw in sockets:
        raw.send(frame(message("1", "echo")))
    await asyncio.gather(*(raw.close() for raw in sockets))


async def closes(lab: LabServer) -> None:
    raw = await joined(lab)
    raw.send(frame(b"\x03\xe8", CLOSE))
    assert await raw.close_code() == 1000
    await raw.close()


async def is_closed(lab: LabServer) -> None:
    # Each time another user, because a disconnect also closes what its user opens in the same millisecond.
    raw = await joined(lab, user=next(USERS))
    await pushes(raw, "disconnect_me")
    await raw.close()


async def never_joins(lab: LabServer) -> None:
    await (await lab.connect_raw()).close()


async def sends_a_malformed_frame(lab: LabServer) -> None:
    raw = await joined(lab)
    raw.send(frame(b"\x01", BINARY))
    assert await raw.close_code() == 1011
    await raw.close()


async def joins_and_leaves(lab: LabServer) -> None:
    raw = await joined(lab)
    await pushes(raw, "echo", {"n": 1})
    await pushes(raw, "phx_leave", answers=2)
    raw.send(frame(b"", PING))
    await raw.receive()
    await raw.close()


async def joins_twice(lab: LabServer) -> None:
    raw = await joined(lab)
    raw.send(join(join_ref="j2"))
    await raw.receive()
    await raw.receive()
    await raw.close()


async def is_refused(lab: LabServer) -> None:
    raw = await joined(lab, "lab:denied")
    for topic in ("lab:raise", "nothing:1"):
        raw.send(join(topic))
        await raw.receive()
    await raw.close()


async def waits_in_its_join(lab: LabServer) -> None:
    raw = await joined(lab, "lab:slow")
    await raw.close()


async def crashes(lab: LabServer) -> None:
    raw = await joined(lab)
    await pushes(raw, "crash")
    raw.send(join())
    await raw.receive()
    await pushes(raw, "stop_reply", answers=2)
    await raw.close()


async def is_answered_late(lab: LabServer) -> None:
    raw = await joined(lab)
    await pushes(raw, "async_reply")
    await raw.close()


async def is_present(lab: LabServer) -> None:
    raw = await joined(lab, "lab:presence:1", {"key": "me", "meta": {}})
    await raw.receive()
    await raw.receive()
    await pushes(raw, "update_presence", {"at": 1}, answers=2, topic="lab:presence:1")
    await raw.close()


async def is_refused_the_connect(lab: LabServer) -> None:
    assert b" 403 " in await request(lab, "GET", "/socket/websocket?vsn=2.0.0&token=bad")


@pytest.mark.parametrize(
    "live",
    [
        is_cut,
        is_cut_with_a_frame_on_its_way,
        is_cut_together_with_others,
        closes,
        is_closed,
        never_joins,
        sends_a_malformed_frame,
        joins_and_leaves,
        joins_twice,
        is_refused,
        waits_in_its_join,
        crashes,
        is_answered_late,
        is_present,
        is_refused_the_connect,
    ],
)
async def test_a_connection_leaves_nothing_behind(lab: LabServer, live: Callable[[LabServer], Awaitable[None]]) -> None:
    await live(lab)
    await lab.until_quiet()
    with left_behind() as left:
        for _ in range(TIMES):
            await live(lab)
        await lab.until_quiet()
    assert left == {}


async def test_channels_of_a_connection_that_stays_leave_nothing_behind(lab: LabServer) -> None:
    raw = await lab.connect_raw()
    with left_behind() as left:
        for _ in range(TIMES):
            raw.send(join())
            await raw.receive()
            await pushes(raw, "echo")
            await pushes(raw, "phx_leave", answers=2)
    assert left == {}
    await raw.close()


async def test_a_long_poll_session_leaves_nothing_behind(start_lab: StartLab) -> None:
    lab = await start_lab(longpoll_window_seconds=0.05)

    async def asks(method: str, query: str, body: bytes = b"") -> Any:
        answer = await request(lab, method, f"/socket/longpoll?vsn=2.0.0&token={query}", body)
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    async def session(bad: bool) -> None:
        opened = (await asks("GET", token_of()))["token"]
        assert (await asks("POST", opened, message("1", "phx_join")))["status"] == 200
        assert len((await asks("GET", opened))["messages"]) == 1
        assert (await asks("GET", opened))["status"] == 204
        if bad:
            assert (await asks("POST", opened, b"no frame"))["status"] == 400
        else:
            lab.endpoint.disconnect(1)
        assert (await asks("POST", opened, message("1", "phx_leave")))["status"] == 410

    for bad in (True, False):
        await session(bad)
        with left_behind() as left:
            for _ in range(TIMES):
                await session(bad)
            await lab.until_quiet()
        assert left == {}
