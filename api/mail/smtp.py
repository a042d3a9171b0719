"""Hands a message to the SMTP server (RFC 5321), or writes it into a file, and says what became of it.

A server that refuses the sender, the recipient or the message for good (5xx) ends the attempts. Everything else may be
better later: 4xx, a server that is away or hangs, and also a log-in or a certificate that is wrong, because these
concern all mails and not this one.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from contextlib import suppress
from email.headerregistry import Address
from pathlib import Path
from typing import Protocol

import aiosmtplib

from shared.access.smtp_server import Security, SmtpServer
from shared.folders import make_folder

_ABOUT_LOG_INS = frozenset({530, 534, 535, 538})
"""Replies to MAIL that ask for another log-in (RFC 4954, 6)."""
_QUIT_SECONDS = 2.0


class NotSent(Exception):
    """The mail was not sent, or nobody knows. Its text has no address and nothing that a server said."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final
        """True if another attempt would be in vain."""


class Carrier(Protocol):
    """Takes messages. `send` raises NotSent."""

    async def send(self, message: bytes, sender: Address, to: Address, name: str) -> None:
        """Returns when the message is in other hands. `name` is for a file."""


class Smtp:
    """Sends each message over a connection of its own."""

    def __init__(self, server: SmtpServer, own_name: str, seconds: float) -> None:
        """`own_name` is the name by which the server is greeted. An attempt ends after `seconds`."""
        self._server = server
        self._own_name = own_name
        self._seconds = seconds

    async def send(self, message: bytes, sender: Address, to: Address, name: str) -> None:
        client = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                await self._connect(client)
                is_utf8 = not (sender.addr_spec + to.addr_spec).isascii()
                options = ["SMTPUTF8", "BODY=8BITMIME"] if is_utf8 else []
                await client.sendmail(sender.addr_spec, to.addr_spec, message, mail_options=options)
            # The server has the mail, so nothing is lost if it does not say goodbye.
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
        except TimeoutError:
            # A timeout of the library is one too.
            raise NotSent("timeout") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused("recipient", error.recipients[0].code) from None
        except aiosmtplib.SMTPSenderRefused as error:
            raise _refused("sender", error.code) from None
        except aiosmtplib.SMTPDataError as error:
            raise _refused("message", error.code) from None
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"{_STAGES.get(type(error), 'reply')} {error.code}") from None
        except ssl.SSLError:
            raise NotSent("TLS") from None
        except ValueError:
            raise NotSent("address", is_final=True) from None
        except aiosmtplib.SMTPNotSupported:
            raise NotSent("not supported by the server", is_final=is_utf8_needed(to)) from None
        except (aiosmtplib.SMTPException, OSError, EOFError) as error:
            raise NotSent(_STAGES.get(type(error), "connection lost")) from None
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        is_offered = server.security is Security.OFFERED and not server.needs_tls
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=self._seconds,
            use_tls=server.security is Security.TLS,
            start_tls=False if server.security is Security.TLS else (None if is_offered else True),
            local_hostname=self._own_name,
        )

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        await client.connect()
        if self._server.user is not None:
            await client.login(self._server.user, self._server.password)


class Files:
    """Writes each message into a file, for development. The same mail has the same file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def send(self, message: bytes, sender: Address, to: Address, name: str) -> None:
        try:
            make_folder(self.folder, 0o700)
            descriptor, path = tempfile.mkstemp(prefix=f".{name}-", dir=self.folder)  # mode 0600
            with os.fdopen(descriptor, "wb") as file:
                file.write(message)
            os.replace(path, self.path(name))
        except OSError as error:
            raise NotSent(f"file not written: {error.strerror}") from None

    def path(self, name: str) -> Path:
        """Returns where the mail of this name is."""
        return self.folder / f"{name}.eml"


def is_utf8_needed(to: Address) -> bool:
    """Returns whether only a server with SMTPUTF8 (RFC 6531) can send to this address."""
    return not to.addr_spec.isascii()


_STAGES: dict[type[BaseException], str] = {
    aiosmtplib.SMTPConnectError: "no connection",
    aiosmtplib.SMTPConnectResponseError: "greeting",
    aiosmtplib.SMTPConnectTimeoutError: "timeout",
    aiosmtplib.SMTPHeloError: "EHLO",
    aiosmtplib.SMTPAuthenticationError: "log-in",
    aiosmtplib.SMTPServerDisconnected: "connection lost",
}


def _refused(what: str, code: int) -> NotSent:
    is_final = 500 <= code < 600 and not (what == "sender" and code in _ABOUT_LOG_INS)
    return NotSent(f"{what} {code}", is_final=is_final)
