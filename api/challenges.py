"""Challenges of passkeys (WebAuthn, 13.4.3): random bytes that the service knows again, for a purpose, a user, a while.

Nothing is stored when one is given out, so nobody can fill a table with them. Which ones were answered is stored until
they expire: each counts once (shared/repositories/passkeys.py).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Callable

from shared.access.secret import keys_for

SECONDS = 300
_RANDOM_BYTES, _TIME_BYTES, _TAG_BYTES = 16, 8, 32


class Challenges:
    """Gives challenges out, and reads them. `clock` returns seconds since the epoch."""

    def __init__(self, secrets: tuple[str, ...], clock: Callable[[], float] = time.time) -> None:
        self._keys = keys_for(secrets, "challenges of passkeys")
        self._clock = clock

    def issue(self, purpose: str, user_id: int = 0) -> bytes:
        """Returns a new challenge; `user_id` is 0 where the user is not known yet."""
        until = int(self._clock()) + SECONDS
        begin = secrets.token_bytes(_RANDOM_BYTES) + until.to_bytes(_TIME_BYTES)
        return begin + _tag(self._keys[0], begin, purpose, user_id)

    def read(self, encoded: object, purpose: str, user_id: int = 0) -> bytes | None:
        """Returns the challenge in base64url; None if it was not given out here for this, or has expired."""
        try:
            text = str(encoded).encode("ascii")
            challenge = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        except (ValueError, binascii.Error):
            return None
        begin, tag = challenge[:-_TAG_BYTES], challenge[-_TAG_BYTES:]
        if len(begin) != _RANDOM_BYTES + _TIME_BYTES:
            return None
        if not any(hmac.compare_digest(tag, _tag(key, begin, purpose, user_id)) for key in self._keys):
            return None
        return challenge if int.from_bytes(begin[_RANDOM_BYTES:]) > self._clock() else None


def _tag(key: bytes, begin: bytes, purpose: str, user_id: int) -> bytes:
    return hmac.digest(key, begin + f"{purpose} {user_id}".encode(), "sha256")
