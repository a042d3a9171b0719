"""The sockets of the workers: one for each worker and address, all on the same port."""

from __future__ import annotations

import contextlib
import socket

Address = tuple[socket.AddressFamily, tuple[object, ...]]


def bind(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """Returns the sockets of each worker: one for each address of the host, bound, but not listening yet.

    Raises OSError if another process listens on the port, also if that one would share it.
    """
    addresses = _addresses(host, port)
    for address in addresses:
        # SO_REUSEPORT would let a second parent of the same user take half of this one's connections.
        _bound(address, is_shared=False).close()
    bound: list[list[socket.socket]] = []
    try:
        for _ in range(count):
            bound.append([])
            for address in addresses:
                bound[-1].append(_bound(address, is_shared=True))
    except OSError:
        close(bound)
        raise
    _let_rebind(bound, False)
    return bound


def are_listened_on(bound: list[list[socket.socket]]) -> None:
    """Call this when a worker listens: from then on the kernel refuses others by that.

    What is accepted has the option too, without which its last minute would keep the port from the next parent.
    """
    _let_rebind(bound, True)


def _let_rebind(bound: list[list[socket.socket]], value: bool) -> None:
    # While nobody listens, another parent could bind the port, and share it later.
    for sockets in bound:
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, value)


def pause(sockets: list[socket.socket]) -> bool:
    """Stop listening, so that the kernel gives new connections to other workers. `listen` begins again.

    Returns whether any of them listened.
    """
    have_listened = False
    for each in sockets:
        # A socket that does not listen would stay shut when it listens again: its connections would have ended already.
        if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            continue
        have_listened = True
        # On a system that cannot do this, connections wait for the next worker.
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    return have_listened


def close(bound: list[list[socket.socket]]) -> None:
    for sockets in bound:
        for each in sockets:
            each.close()


def _addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bound(address: Address, *, is_shared: bool) -> socket.socket:
    family, where = address
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Without this, `::` would also take the addresses of IPv4, which have a socket of their own.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
    except OSError:
        made.close()
        raise
    return made
