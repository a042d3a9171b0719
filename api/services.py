"""What handlers work with: built once from the settings, started and stopped with the application."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from aiohttp import web

from api.metrics import RequestCounts
from api.passwords import Passwords
from api.rate_limits import RateLimits
from api.realtime import Realtime
from shared.access.tokens import Tokens
from shared.postgres import Database
from shared.pubsub.broker import Broker
from shared.repositories.message_writer import MessageWriter
from shared.repositories.messages import MessageRepository
from shared.repositories.sessions import SessionRepository
from shared.repositories.users import UserRepository
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """A new resource adds its repository here."""

    settings: Settings
    database: Database
    broker: Broker
    tokens: Tokens
    passwords: Passwords
    rate_limits: RateLimits
    request_counts: RequestCounts
    realtime: Realtime
    users: UserRepository
    sessions: SessionRepository
    messages: MessageRepository
    message_writer: MessageWriter

    @classmethod
    def build(cls, settings: Settings, broker: Broker, node_id: str) -> Services:
        """Nothing is connected yet: the database connects when it is used, the broker when it is started."""
        database = Database(settings)
        messages = MessageRepository(database)
        return cls(
            settings=settings,
            database=database,
            broker=broker,
            tokens=Tokens(settings.jwt_secret, settings.access_token_seconds),
            passwords=Passwords(settings),
            rate_limits=RateLimits(settings),
            request_counts=RequestCounts(),
            realtime=Realtime(broker, node_id),
            users=UserRepository(database),
            sessions=SessionRepository(database),
            messages=messages,
            message_writer=MessageWriter(
                messages, max_batch=settings.max_message_batch, max_waiting=settings.max_waiting_messages
            ),
        )

    async def start(self) -> None:
        await self.broker.start(None)

    async def stop(self) -> None:
        await self.message_writer.close()
        await self.broker.stop()
        await self.database.close()
        await self.rate_limits.close()
        self.passwords.close()


SERVICES = web.AppKey("services", Services)


def new_node_id() -> str:
    return f"api-{secrets.token_hex(6)}"
