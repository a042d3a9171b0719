"""The server that sends mail, as SMTP_URL names it, and the sender as MAIL_FROM names it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.errors import NonASCIILocalPartDefect
from email.headerregistry import Address, HeaderRegistry
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit


class Security(StrEnum):
    """How the connection gets TLS, by the scheme of SMTP_URL."""

    OFFERED = "smtp"
    """By STARTTLS (RFC 3207) if the server offers it."""
    STARTTLS = "smtp+starttls"
    """By STARTTLS; otherwise nothing is sent."""
    TLS = "smtps"
    """From the first byte (RFC 8314)."""


_PORTS = {Security.OFFERED: 25, Security.STARTTLS: 587, Security.TLS: 465}
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to send. `user` is None for a server without a log-in."""

    security: Security
    host: str
    port: int
    user: str | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> SmtpServer:
        """Returns the server of the URL. Raises ValueError, whose text is for the operator and has no secret."""
        try:
            parts = urlsplit(url)
            security, port = Security(parts.scheme.lower()), parts.port
        except ValueError:
            raise ValueError("must be like smtp://user:password@host:587, smtp+starttls://... or smtps://...") from None
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
            raise ValueError("must have a host and nothing after its port; percent-encode / ? # @ in a password")
        user = None if parts.username is None else unquote(parts.username)
        password = unquote(parts.password or "")
        if _CONTROL.search(f"{user or ''}{password}"):
            raise ValueError("the user and the password must not have control characters")
        return cls(security, parts.hostname, port or _PORTS[security], user, password)

    @property
    def needs_tls(self) -> bool:
        """Whether nothing may be sent without TLS. A password never is, except to this machine."""
        return self.security is not Security.OFFERED or (self.user is not None and not _LOOPBACK.fullmatch(self.host))


def mailbox(text: str) -> Address:
    """Returns the one mailbox that the text names (RFC 5322, 3.4). Raises ValueError if it is none."""
    if _CONTROL.search(text):
        raise ValueError(text)
    header: Any = _HEADERS("from", text)
    # Only a server with SMTPUTF8 (RFC 6531) takes such an address, but it is one.
    defects = [one for one in header.defects if not isinstance(one, NonASCIILocalPartDefect)]
    if defects or len(header.addresses) != 1 or not header.addresses[0].domain:
        raise ValueError(text)
    address: Address = header.addresses[0]
    return address


def is_mailbox(text: str) -> bool:
    """Returns whether the text names one mailbox."""
    try:
        mailbox(text)
    except ValueError:
        return False
    return True


_HEADERS = HeaderRegistry()
