"""Asks another gateway node something over the broker, and answers what others ask: request and response on pub/sub.

Every node listens on a topic of its own. The broker tells nobody whether a node is there, so a node that is asked
something is expected to be heard of: while an answer is due and nothing comes, it is pinged, and a node that does not
answer that in time counts as dead, for everything that it was asked.

Knows nothing of what is asked; methods are names, arguments and results are bytes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.stepping import Suspended
from shared.events.envelope import Envelope, pack
from shared.events.topics import node as topic_of
from shared.logs import log_of

log = log_of(__name__)

CALL, CAST, ANSWER, PING, PONG = "call", "cast", "answer", "ping", "pong"

Method = Callable[[bytes], Awaitable[bytes]]
"""Answers a call. What it raises reaches the caller as CallFailed."""
Cast = Callable[[bytes], None]
"""Takes a cast. Must not raise."""


class NodeUnreachable(Exception):
    """The node is dead, or cannot be heard now. What was asked may have been done all the same."""


class CallFailed(Exception):
    """The method raised on the other node, or is not known there."""


class _Call(msgspec.Struct, array_like=True):
    method: str
    argument: bytes
    id: int = 0


class _Answer(msgspec.Struct, array_like=True):
    id: int
    result: bytes | None
    """None where the method failed."""


_encode = msgspec.msgpack.Encoder().encode
_decode_call = msgspec.msgpack.Decoder(_Call).decode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode


class _Peer:
    """Another node that owes answers."""

    __slots__ = ("heard", "pending", "pinged")

    def __init__(self) -> None:
        self.heard = float("-inf")
        self.pinged: float | None = None
        """When it was pinged first since it was heard of last."""
        self.pending: dict[int, asyncio.Future[bytes]] = {}


class NodeCalls:
    """One for each node. `start` it when the broker runs; `stop` it before the broker stops."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._patience = endpoint.settings.node_call_seconds
        self._methods: dict[str, Method] = {}
        self._casts: dict[str, Cast] = {}
        self._ids = itertools.count(1)
        self._peers: dict[str, _Peer] = {}
        self._watching: asyncio.TimerHandle | None = None
        self._listens = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def serve(self, method: str, answer: Method) -> None:
        """Answer calls of this name. Calls of one node begin in the order in which it made them."""
        self._methods[method] = answer

    def serve_cast(self, method: str, take: Cast) -> None:
        """Take casts of this name."""
        self._casts[method] = take

    async def start(self) -> None:
        """Listen. Where the broker's link is away, returns before it is up; others reach this node once it is."""
        topic = topic_of(self._endpoint.node_id)
        self._endpoint.handle_topic(topic, self._receive)
        listening = asyncio.get_running_loop().create_task(self._listen(topic))
        self._keep(listening)
        await asyncio.wait((listening,), timeout=self._patience)

    async def _listen(self, topic: str) -> None:
        while not self._listens:
            try:
                await self._endpoint.broker.subscribe(topic)
                self._listens = True
            except TimeoutError:
                log.warning("other gateway nodes cannot reach this one yet; trying on")

    async def stop(self) -> None:
        """Whatever waits for an answer gets NodeUnreachable; whatever is answering is cancelled."""
        if self._listens:
            self._endpoint.broker.unsubscribe(topic_of(self._endpoint.node_id))
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        for peer in self._peers.values():
            _fail(peer)
        self._peers.clear()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Asking

    async def call(self, node: str, method: str, argument: bytes, seconds: float) -> bytes:
        """The answer of the method on another node.

        Raises NodeUnreachable, at the latest two and a half times `node_call_seconds` after the node's last sign of
        life; TimeoutError after `seconds`, from a node that lives or while this one's link is away; CallFailed.
        """
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = _Peer()
        number = next(self._ids)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        peer.pending[number] = answer
        self._send(node, CALL, _encode(_Call(method, argument, number)))
        self._watch()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            peer.pending.pop(number, None)
            if not peer.pending and self._peers.get(node) is peer:
                del self._peers[node]

    def cast(self, node: str, method: str, argument: bytes) -> None:
        """Tell another node something, and never know whether it came."""
        self._send(node, CAST, _encode(_Call(method, argument)))

    def _send(self, node: str, event: str, payload: bytes) -> None:
        envelope = Envelope(self._endpoint.node_id, event, payload, True)
        self._endpoint.broker.publish(topic_of(node), pack(envelope))

    def _watch(self) -> None:
        if self._watching is None and self._peers:
            self._watching = asyncio.get_running_loop().call_later(self._patience / 4, self._look)

    def _look(self) -> None:
        self._watching = None
        now = asyncio.get_running_loop().time()
        is_cut_off = not self._endpoint.broker.connected
        for node, peer in tuple(self._peers.items()):
            if is_cut_off:
                # It is this node that hears nothing, which says nothing of the others.
                peer.heard, peer.pinged = now, None
            elif peer.pinged is not None:
                if now - peer.pinged >= self._patience:
                    log.info("gateway node does not answer", node=node)
                    del self._peers[node]
                    _fail(peer)
            elif now - peer.heard >= self._patience:
                peer.pinged = now
                self._send(node, PING, b"")
        self._watch()

    # From other nodes

    def _receive(self, envelope: Envelope) -> None:
        node, event = envelope.node, envelope.event
        peer = self._peers.get(node)
        if peer is not None:
            peer.heard = asyncio.get_running_loop().time()
            peer.pinged = None
        try:
            if event == CALL:
                call = _decode_call(envelope.payload)
                # In line up to where it has to wait: what comes next from this node finds the call begun.
                answering = self._endpoint.step(self._answer(node, call))
                if type(answering) is Suspended:
                    self._keep(answering.task)
            elif event == CAST:
                call = _decode_call(envelope.payload)
                take = self._casts.get(call.method)
                if take is not None:
                    take(call.argument)
            elif event == ANSWER:
                self._answered(peer, _decode_answer(envelope.payload))
            elif event == PING:
                self._send(node, PONG, b"")
        except msgspec.MsgspecError as error:
            log.warning("bad call between nodes", node=node, error=str(error))

    def _answered(self, peer: _Peer | None, answer: _Answer) -> None:
        waiting = None if peer is None else peer.pending.pop(answer.id, None)
        if waiting is None or waiting.done():
            return
        if answer.result is None:
            waiting.set_exception(CallFailed())
        else:
            waiting.set_result(answer.result)

    async def _answer(self, node: str, call: _Call) -> None:
        result: bytes | None = None
        try:
            method = self._methods.get(call.method)
            if method is not None:
                result = await method(call.argument)
        except Exception:
            log.exception("call between nodes failed", method=call.method)
        self._send(node, ANSWER, _encode(_Answer(call.id, result)))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fail(peer: _Peer) -> None:
    for waiting in peer.pending.values():
        if not waiting.done():
            waiting.set_exception(NodeUnreachable())
