"""The sockets of workers: a connection that waits in one survives its worker, and a paused one gets no new ones."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from development.child import happens
from shared.settings import MOST_WORKERS
from shared.workers import sockets, worker
from shared.workers.parent import LONGEST_WAIT_SECONDS, seconds_to_wait
from shared.workers.sockets import bind
from shared.workers.worker import EMPTY, LEAVE, Worker, assign, assigned
from tests.support.ports import free_port

HOST = "127.0.0.1"


@contextlib.contextmanager
def bound(port: int, count: int) -> Iterator[list[socket.socket]]:
    """One socket for each worker."""
    made = bind(HOST, port, count)
    try:
        yield [one for [one] in made]
    finally:
        sockets.close(made)


def test_a_waiting_connection_is_for_whoever_has_the_socket_next() -> None:
    port = free_port()
    with bound(port, 2) as [first, _], first.dup() as dead:
        dead.listen(8)
        with socket.create_connection((HOST, port), timeout=10) as client:
            dead.close()
            client.sendall(b"hello")
            with first.dup() as successor:
                accepted, _ = successor.accept()
                with accepted:
                    assert accepted.recv(5) == b"hello"


def test_a_paused_socket_gets_no_connections_until_it_listens_again() -> None:
    port = free_port()
    with bound(port, 2) as [first, second]:
        for each in (first, second):
            each.listen(64)
            each.settimeout(0.0)
        sockets.pause([first])

        def connect() -> tuple[int, int]:
            clients = [socket.create_connection((HOST, port), timeout=10) for _ in range(40)]
            found = (accepted(first), accepted(second))
            for client in clients:
                client.close()
            return found

        def accepted(listening: socket.socket) -> int:
            count = 0
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()
                    count += 1
            return count

        assert connect() == (0, 40)
        first.listen(64)
        shares = connect()
        assert sum(shares) == 40
        assert min(shares) > 0


@pytest.mark.parametrize("pauses", [1, 2])
def test_connections_of_a_socket_that_was_paused_carry_what_is_sent(pauses: int) -> None:
    port = free_port()
    with bound(port, 1) as [one]:
        # Nobody is told that a socket gives up what it never had.
        assert not sockets.pause([one])
        one.listen(64)
        assert [sockets.pause([one]) for _ in range(pauses)] == [True, False][:pauses]
        one.listen(64)
        with socket.create_connection((HOST, port), timeout=10) as client, one.accept()[0] as accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"


@pytest.mark.parametrize("has_started", [False, True])
async def test_a_successor_whose_place_becomes_empty_lets_it_go_unless_it_listens(
    has_started: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(worker, "EMPTY_SECONDS", 0.0)
    parents, own = socket.socketpair()
    with bound(free_port(), 1) as [one], parents, own:
        own.setblocking(False)
        # The worker before, or this one.
        one.listen(8)
        successor, left = Worker(own, 1, 1, tmp_path, [one], is_successor=True), asyncio.Event()
        successor.watch(left.set)
        if has_started:
            successor.is_about_to_listen()
        for message in (EMPTY, LEAVE):
            left.clear()
            parents.send(message)
            assert await happens(lambda: _is_read(own), 10.0)
            # What was to be done at once has been done.
            await asyncio.sleep(0)
        await left.wait()
        assert bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) is has_started


def _is_read(link: socket.socket) -> bool:
    try:
        link.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    return False


def test_a_port_on_which_somebody_listens_is_refused_also_if_it_could_be_shared() -> None:
    port = free_port()
    with bound(port, 1) as [one]:
        one.listen(8)
        with pytest.raises(OSError) as refused, bound(port, 1):  # noqa: PT011
            pass
    assert refused.value.errno == errno.EADDRINUSE
    with bound(port, MOST_WORKERS) as many:
        assert len(many) == MOST_WORKERS


def test_a_port_that_another_parent_has_is_refused_also_before_its_workers_listen() -> None:
    port = free_port()
    with bound(port, 2), pytest.raises(OSError) as refused, bound(port, 2):  # noqa: PT011
        pass
    assert refused.value.errno == errno.EADDRINUSE


def test_connections_that_a_worker_has_just_ended_keep_the_port_from_nobody() -> None:
    port = free_port()
    made = bind(HOST, port, 2)
    sockets.are_listened_on(made)
    [[one], _] = made
    one.listen(8)
    with socket.create_connection((HOST, port), timeout=10) as client:
        accepted, _ = one.accept()
        # Whoever closes first remembers the connection for a minute.
        accepted.close()
        assert client.recv(1) == b""
    sockets.close(made)
    with bound(port, 2) as again:
        assert len(again) == 2


def test_what_a_worker_starts_does_not_get_its_sockets(tmp_path: Path) -> None:
    parents, own = socket.socketpair()
    hangup = signal.getsignal(signal.SIGHUP)
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGHUP, hangup)
        given = stack.enter_context(bound(free_port(), 1))
        stack.enter_context(parents)
        assign(parents, number=1, count=1, folder=tmp_path, sockets=given, is_successor=False)
        made = assigned(own.detach())
        assert made is not None
        assert [one.get_inheritable() for one in (made._link, *made.sockets)] == [False, False]
        for one in (made._link, *made.sockets):
            one.close()


def test_a_worker_that_ends_at_its_start_again_and_again_waits_longer_and_longer() -> None:
    waits = [seconds_to_wait(failures) for failures in range(40)]
    assert waits[:5] == [0.0, 0.0, 0.25, 0.5, 1.0]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_SECONDS
