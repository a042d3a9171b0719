"""The token of a long-poll session. It names the session and its node, and is signed."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from shared.access.signatures import Signatures


class SessionReference(NamedTuple):
    """The ids of a session and its node. Both consist of letters, digits, `-` and `_`."""

    node_id: str
    session_id: str


class SessionTokens:
    """Issues and reads tokens `NODE.SESSION.SIGNATURE`.

    The signature is an HMAC-SHA256 with a key derived from the service's secrets, which all nodes share.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        if not secrets:
            raise ValueError("long polling needs the service's secrets (jwt_secrets)")
        self._signatures = Signatures(secrets, "long-poll session")

    def issue(self, reference: SessionReference) -> str:
        """Returns the token for a session."""
        name = ".".join(reference)
        return f"{name}.{self._signatures.of(name)}"

    def read(self, token: str) -> SessionReference | None:
        """Returns the session that the token names; None if this service did not issue the token."""
        if not token.isascii():
            return None
        name, _, signature = token.rpartition(".")
        node_id, dot, session_id = name.partition(".")
        if not dot or not self._signatures.fits(signature, name):
            return None
        return SessionReference(node_id, session_id)


def new_session_id() -> str:
    """Returns a random id without a dot."""
    return secrets.token_urlsafe(16)
