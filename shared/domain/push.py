"""Push subscriptions of browsers (RFC 8030, RFC 8291), and what they are told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_ENDPOINT_LENGTH: Final = 2000
MAX_SUBSCRIPTIONS: Final = 20
"""Of one person; a further one takes the place of the oldest."""
POINT_BYTES: Final = 65
"""An uncompressed point of P-256, as which a browser gives its public key (RFC 8291, 3.1)."""
AUTH_BYTES: Final = 16
"""The browser's secret for authentication (RFC 8291, 3.2)."""
MAX_TEXT_LENGTH: Final = 200
"""Characters of a message or a reply that a notification has."""


class NoSession(Exception):
    """The session of the token has ended, or the token has none: the subscription would end with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Where and how a browser is told. `endpoint` is a secret, so it is in no representation of this object."""

    endpoint: str
    p256dh: bytes
    auth: bytes
    shows_text: bool = False

    def __repr__(self) -> str:
        return "Subscription(...)"


def cut(text: str) -> str:
    """Returns the text in one line, and its beginning if it is too long for a notification."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT_LENGTH else f"{line[: MAX_TEXT_LENGTH - 1]}…"
