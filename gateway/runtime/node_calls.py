"""Calls methods on other gateway nodes over the broker, and answers their calls: request and response on pub/sub.

Every node listens on its own topic. The broker does not tell whether a node is there. So a node that owes an answer and
sends nothing is pinged. If it does not answer the ping in time, it counts as dead, and all calls to it fail.

This module does not know what the calls mean: methods are names, arguments and results are bytes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.stepping import Suspended
from shared.events.envelope import Envelope
from shared.events.topics import node as topic_of
from shared.logs import log_of

log = log_of(__name__)

CALL, CAST, ANSWER, PING, PONG = "call", "cast", "answer", "ping", "pong"

Method = Callable[[bytes], Awaitable[bytes]]
"""Answers a call. If it raises, the caller gets CallFailed."""
Cast = Callable[[bytes], None]
"""Takes a cast. Must not raise."""


class NodeUnreachable(Exception):
    """The node is dead or unreachable. It may still have carried out the call."""


class CallFailed(Exception):
    """The method raised on the other node, or the other node does not have it."""


class _Call(msgspec.Struct, array_like=True):
    method: str
    argument: bytes
    id: int = 0


class _Answer(msgspec.Struct, array_like=True):
    id: int
    result: bytes | None
    """None if the method failed."""


_encode = msgspec.msgpack.Encoder().encode
_decode_call = msgspec.msgpack.Decoder(_Call).decode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode


class _Peer:
    """Another node that owes answers."""

    __slots__ = ("heard", "pending", "pinged")

    def __init__(self) -> None:
        self.heard = float("-inf")
        self.pinged: float | None = None
        """Loop time of the first ping after the node's last sign of life."""
        self.pending: dict[int, asyncio.Future[bytes]] = {}


class NodeCalls:
    """Each node has one. `start` it when the broker runs; `stop` it before the broker stops."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tracing = endpoint.tracing
        self._patience = endpoint.settings.node_call_seconds
        self._methods: dict[str, Method] = {}
        self._casts: dict[str, Cast] = {}
        self._ids = itertools.count(1)
        self._peers: dict[str, _Peer] = {}
        self._watching: asyncio.TimerHandle | None = None
        self._listens = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def serve(self, method: str, answer: Method) -> None:
        """Answer calls with this name. The calls of one node begin in the order in which that node made them."""
        self._methods[method] = answer

    def serve_cast(self, method: str, take: Cast) -> None:
        """Take casts with this name."""
        self._casts[method] = take

    async def start(self) -> None:
        """Listen. Returns even if the broker's link is down; other nodes reach this one when the link is up."""
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
                log.warning("other gateway nodes cannot reach this one yet; retrying")

    async def stop(self) -> None:
        """Waiting calls raise NodeUnreachable; running methods are cancelled."""
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
        """Returns the result of the method on another node.

        Raises NodeUnreachable at most two and a half times `node_call_seconds` after the node's last sign of life.
        Raises TimeoutError after `seconds` if the node is alive or this node's own link is down. Raises CallFailed.
        """
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = _Peer()
        number = next(self._ids)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        peer.pending[number] = answer
        trace = "" if self._tracing is None else self._tracing.traceparent()
        self._send(node, CALL, _encode(_Call(method, argument, number)), trace)
        self._watch()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            peer.pending.pop(number, None)
            if not peer.pending and self._peers.get(node) is peer:
                del self._peers[node]

    def cast(self, node: str, method: str, argument: bytes) -> None:
        """Send another node a message without an answer. It may be lost."""
        self._send(node, CAST, _encode(_Call(method, argument)))

    def _send(self, node: str, event: str, payload: bytes, trace: str = "") -> None:
        self._endpoint.send(topic_of(node), Envelope(self._endpoint.node_id, event, payload, True, trace))

    def _watch(self) -> None:
        if self._watching is None and self._peers:
            self._watching = asyncio.get_running_loop().call_later(self._patience / 4, self._look)

    def _look(self) -> None:
        self._watching = None
        now = asyncio.get_running_loop().time()
        is_cut_off = not self._endpoint.broker.connected
        for node, peer in tuple(self._peers.items()):
            if is_cut_off:
                # This node itself is cut off, so the silence says nothing about the others.
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
                # The call runs at once until it has to wait, so that it begins before the node's next message.
                work = self._answer(node, call)
                if envelope.trace and self._tracing is not None:
                    work = self._tracing.called(envelope.trace, call.method, work)
                answering = self._endpoint.step(work)
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
