"""Talks to a gateway from the command line. Each frame is a line of JSON: [join_ref, ref, topic, event, payload].

    export TOKEN=...
    python -m gateway.client join private_chat:1
    python -m gateway.client push private_chat:1 send '{"to": "2", "message": "hi"}'

`join` prints every frame until Ctrl-C, or until --count frames or --seconds have passed. `push` joins, pushes, prints
the payload of the reply, and exits with 0 if its status is ok. A failure prints one line and exits with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

import msgspec

from gateway.client.connection import Connection, Refused, connect

DEFAULT_URL = "ws://127.0.0.1:4000/socket/websocket"


async def join(options: argparse.Namespace) -> int:
    """Print the frames that arrive on a topic."""
    async with connect(options.url, options.token) as connection:
        ref = await connection.join(options.topic, options.params)
        left = options.count
        async for frame in connection.frames():
            _print(frame)
            if frame[1] == ref and frame[3] == "phx_reply" and frame[4]["status"] != "ok":
                return 1
            left = left and left - 1
            if left == 0:
                return 0
    raise AssertionError("frames() ends only by raising Refused")


async def push(options: argparse.Namespace) -> int:
    """Print the reply to one push."""
    async with connect(options.url, options.token) as connection:
        reply = await _reply(connection, await connection.join(options.topic, options.params), options.topic)
        if reply["status"] == "ok":
            ref = await connection.push(options.topic, options.event, options.payload)
            reply = await _reply(connection, ref, options.topic)
        _print(reply)
        return 0 if reply["status"] == "ok" else 1


async def _reply(connection: Connection, ref: str, topic: str) -> dict[str, Any]:
    """Returns the reply to a ref, or the `phx_error` or `phx_close` of a channel that ends instead. Raises Refused."""
    async for _, frame_ref, frame_topic, event, payload in connection.frames():
        if frame_topic == topic and event == "phx_reply" and frame_ref == ref:
            reply: dict[str, Any] = payload
            return reply
        if frame_topic == topic and event in ("phx_error", "phx_close"):
            return {"status": event, "response": payload}
    raise AssertionError("frames() ends only by raising Refused")


def _print(value: Any) -> None:
    # One write. `print` makes two if Python does not buffer, and another program's line could come in between.
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {text!r} ({error})") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.client", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default=DEFAULT_URL, help="the gateway's socket (default: %(default)s)")
    parser.add_argument("--token", default=os.environ.get("TOKEN", ""), help="the access token (default: $TOKEN)")
    parser.add_argument("--seconds", type=float, help="stop after this time: join exits with 0, push with 1")
    parser.add_argument("--count", type=_positive, help="join: stop after this many frames")
    commands = parser.add_subparsers(required=True, metavar="join|push")

    join_command = commands.add_parser("join", help="print every frame of a topic")
    join_command.add_argument("topic")
    join_command.add_argument("params", type=_json, nargs="?", default={}, help="JSON for the join (default: {})")
    join_command.set_defaults(run=join, code_after_seconds=0)

    push_command = commands.add_parser("push", help="join a topic, push one event, print the reply")
    push_command.add_argument("topic")
    push_command.add_argument("event")
    push_command.add_argument("payload", type=_json, nargs="?", default={}, help="JSON (default: {})")
    push_command.add_argument("--params", type=_json, default={}, help="JSON for the join (default: {})")
    push_command.set_defaults(run=push, code_after_seconds=1)
    return parser


def main() -> int:
    options = parser().parse_args()

    async def run() -> int:
        async with asyncio.timeout(options.seconds):
            code: int = await options.run(options)
            return code

    try:
        return asyncio.run(run())
    except TimeoutError:
        return int(options.code_after_seconds)
    except KeyboardInterrupt:
        return 0
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
