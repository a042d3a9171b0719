"""A real SMTP server on a free port, in the test's own loop. A test can see and change each of its steps."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "354", "message", "250")
"""What the server does for one mail, in this order. The test is told of each just before the server answers; of
`354` and `250` just after the server has sent this answer."""

Step = Callable[[str, "Conversation"], Awaitable[str | None]]
"""Called at each step. It returns another answer than the usual one, or None."""


@dataclass
class Received:
    """A mail that the server has taken."""

    sender: str
    recipients: list[str]
    data: bytes
    user: str | None = None
    is_over_tls: bool = False

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.data, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class MailServer:
    """What the server knows. `received` has the mails that it has answered with 250, in order."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    connections: int = 0
    on_step: Step | None = None
    login: tuple[str, str] | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def message_ids(self) -> list[str]:
        return [str(one.message["Message-ID"]) for one in self.received]

    async def at(self, step: str, conversation: Conversation) -> str | None:
        self.steps.append(step)
        return None if self.on_step is None else await self.on_step(step, conversation)


class Conversation(SMTP):
    """The server's side of one connection."""

    def __init__(self, server: MailServer, **options: Any) -> None:
        self.told = server
        super().__init__(_Handler(server), hostname="mail.test", enable_SMTPUTF8=True, **options)

    async def push(self, status: Any) -> None:
        text = status.decode() if isinstance(status, bytes) else status
        if text.startswith("220 mail.test"):
            self.told.connections += 1
            status = await self.told.at("greeting", self) or status
        await super().push(status)
        if text.startswith("354"):
            await self.told.at("354", self)
        elif text == _TAKEN:
            await self.told.at("250", self)

    async def smtp_DATA(self, arg: str) -> None:
        answer = await self.told.at("DATA", self)
        if answer is not None:
            await self.push(answer)
            return
        await super().smtp_DATA(arg)

    def reset(self) -> None:
        """End the connection as a machine does that has just started again."""
        assert isinstance(self.transport, asyncio.Transport)
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


_TAKEN = "250 taken"


class _Handler:
    def __init__(self, told: MailServer) -> None:
        self._told = told

    async def handle_EHLO(
        self, server: Conversation, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        answer = await self._told.at("EHLO", server)
        return responses if answer is None else [answer]

    async def handle_HELO(self, server: Conversation, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return await self._told.at("EHLO", server) or "250 mail.test"

    async def handle_MAIL(
        self, server: Conversation, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._told.at("MAIL", server) or "250 OK"

    async def handle_RCPT(
        self, server: Conversation, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._told.at("RCPT", server) or "250 OK"

    async def handle_DATA(self, server: Conversation, session: Any, envelope: Any) -> str:
        answer = await self._told.at("message", server)
        if answer is not None:
            return answer
        user = session.auth_data.login.decode() if session.authenticated else None
        self._told.received.append(
            Received(envelope.mail_from, list(envelope.rcpt_tos), envelope.content, user, _is_over_tls(server))
        )
        self._told.arrived.set()
        return _TAKEN


@asynccontextmanager
async def mail_server(
    *,
    login: tuple[str, str] | None = None,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[MailServer]:
    """A server that asks for this log-in, if any, and offers or has TLS with these contexts."""
    told = MailServer(login=login)
    options: dict[str, Any] = {"tls_context": starttls} if starttls else {}
    if login is not None:
        options |= {"authenticator": _authenticator(login), "auth_require_tls": bool(starttls)}
    conversations: list[Conversation] = []

    def begin() -> Conversation:
        conversations.append(Conversation(told, **options))
        return conversations[-1]

    server = await asyncio.get_running_loop().create_server(begin, host, port, ssl=tls)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for one in conversations:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()
        # The conversations' own tasks end in the next turns of the loop.
        tasks = [one._handler_coroutine for one in conversations if one._handler_coroutine is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _is_over_tls(conversation: Conversation) -> bool:
    assert conversation.transport is not None
    return conversation.transport.get_extra_info("sslcontext") is not None


def _authenticator(login: tuple[str, str]) -> Callable[..., AuthResult]:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        is_right = isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=is_right, handled=False, auth_data=given)

    return check
