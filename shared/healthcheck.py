"""`python -m shared.healthcheck PORT` asks the process on that port of this machine if it is ready. For containers.

It runs every few seconds beside each process, so it imports little: `http.client` would take most of its time.
"""

from __future__ import annotations

import socket
import sys

SECONDS = 4.0
QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def main(arguments: list[str]) -> int:
    """Returns 0 if the process is ready, else 1. Prints its answer or one line with the reason."""
    try:
        with socket.create_connection(("127.0.0.1", int(arguments[0])), SECONDS) as connection:
            connection.sendall(QUESTION)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    head, end, text = answer.partition(b"\r\n\r\n")
    if not end:
        print("no answer: the connection was closed")
        return 1
    print(text.decode(errors="replace"))
    return 0 if head.startswith(b"HTTP/1.1 200 ") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
