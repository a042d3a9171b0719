"""`python -m tests.lab --port P` runs a gateway node with the lab's channels, without Postgres."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import uvloop

from gateway.presence.store_memory import MemoryStore
from gateway.presence.store_redis import RedisStore
from gateway.runtime.endpoint import Endpoint, new_node_id
from shared.access.actor import Actor
from shared.access.admission import Admit, BadToken
from shared.access.tokens import InvalidToken, Tokens
from shared.domain.users import Role
from shared.garbage import look_for_garbage_rarely
from shared.pubsub import broker_for
from shared.pubsub.memory import MemoryBroker
from shared.serving import stop_signal
from shared.settings import Settings
from shared.workers import parent
from shared.workers.command import add_options, workers_of
from shared.workers.worker import Worker, assigned
from tests.lab.listening import serve as listen
from tests.lab.node import lab_node

DEFAULT_SECRET = "lab-secret-lab-secret-lab-secret-lab-secret"
MAX_MESSAGE_BYTES = 8_000_000
"""The limit of the recorded Phoenix server. The product's limit is smaller."""


class LabAdmission:
    """Admits every valid token of this secret. The lab has no users to look up."""

    def __init__(self, secret: str) -> None:
        self._tokens = Tokens((secret,), 3600)

    async def __call__(self, token: str) -> Actor:
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as error:
            raise BadToken(str(error)) from None
        return Actor(claims.user_id, claims.session_id, claims.role or Role.USER, "", claims.expires_at)


async def serve(port: int, secret: str, redis_url: str, worker: Worker | None = None) -> None:
    settings = replace(
        Settings.from_environment({}),
        jwt_secrets=(secret,),
        redis_url=redis_url,
        rate_limits=False,
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_websockets_per_user=Settings().max_connections,
    )
    node_id = new_node_id()
    store = RedisStore.of(settings) if redis_url else MemoryStore()
    broker = broker_for(settings, node_id) if redis_url else MemoryBroker()
    endpoint = lab_node(settings, broker, node_id=node_id, presence_store=store)
    await endpoint.start()
    try:
        await _listen_until_stopped(endpoint, port, LabAdmission(secret), worker)
    finally:
        await endpoint.stop()


async def _listen_until_stopped(endpoint: Endpoint, port: int, admit: Admit, worker: Worker | None) -> None:
    stopped = stop_signal(worker)
    if worker is not None:
        worker.is_about_to_listen()
    listening = await listen(endpoint, admit, port, sockets=None if worker is None else worker.sockets)
    try:
        print(f"lab: ws://127.0.0.1:{port}/socket/websocket", flush=True)
        look_for_garbage_rarely()
        if worker is not None:
            worker.is_listening()
            worker.is_ready()
        await stopped.wait()
        await endpoint.drain()
    finally:
        await listening.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", default=DEFAULT_SECRET)
    parser.add_argument("--redis-url", default="")
    add_options(parser)
    arguments = parser.parse_args()
    if workers_of(arguments, 1) > 1 and arguments.worker is None:
        given = ["--port", str(arguments.port), "--secret", arguments.secret, "--redis-url", arguments.redis_url]
        return parent.run(
            "tests.lab", *given, name="LAB", host="127.0.0.1", port=arguments.port, workers=arguments.workers,
            shutdown_seconds=10.0,
        )  # fmt: skip
    worker = None
    if arguments.worker is not None and (worker := assigned(arguments.worker)) is None:
        return 0
    uvloop.run(serve(arguments.port, arguments.secret, arguments.redis_url, worker))
    return 0


if __name__ == "__main__":
    sys.exit(main())
