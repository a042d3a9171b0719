"""The token of a long-poll session. It names the session and its node, and is signed."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import NamedTuple

_PURPOSE = b"daveslist long-poll session"


class SessionReference(NamedTuple):
    """The ids of a session and its node. Both consist of letters, digits, `-` and `_`."""

    node_id: str
    session_id: str


class SessionTokens:
    """Issues and reads tokens `NODE.SESSION.SIGNATURE`.

    The signature is an HMAC-SHA256 with a key derived from the service's secret, which all nodes share.
    """

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ValueError("long polling needs the service's secret (jwt_secret)")
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    def issue(self, reference: SessionReference) -> str:
        """Returns the token for a session."""
        name = ".".join(reference)
        return f"{name}.{self._signature(name)}"

    def read(self, token: str) -> SessionReference | None:
        """Returns the session that the token names; None if this service did not issue the token."""
        if not token.isascii():
            return None
        name, _, signature = token.rpartition(".")
        node_id, dot, session_id = name.partition(".")
        if not dot or not hmac.compare_digest(signature, self._signature(name)):
            return None
        return SessionReference(node_id, session_id)

    def _signature(self, name: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self._key, name.encode(), "sha256")).rstrip(b"=").decode()


def new_session_id() -> str:
    """Returns a random id without a dot."""
    return secrets.token_urlsafe(16)
