"""Encrypts secrets that the service has to read again, such as the seeds of one-time codes, before they are stored.

Whoever has only the database, or a backup of it, reads none of them: the keys are derived from the service's secrets.
AES-GCM (NIST SP 800-38D) with 256 bits; what was encrypted for one owner does not open for another.
"""

from __future__ import annotations

import base64
import os
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.access.secret import keys_for

_NONCE_BYTES = 12
_NAME_LENGTH = 8


class Locked(Exception):
    """None of the service's secrets opens it: they have all been replaced since, or it was made for another owner."""


class Vault:
    """Encrypts with a key of the first secret, and decrypts with those of all."""

    def __init__(self, secrets: tuple[str, ...], purpose: str) -> None:
        self._keys = [AESGCM(key) for key in keys_for(secrets, purpose)]
        name = keys_for(secrets, f"name of the key, {purpose}")[0]
        self.key_name = base64.urlsafe_b64encode(name).decode()[:_NAME_LENGTH]
        """The beginning of all that the first secret encrypts. It says nothing about the key."""

    def locked(self, owner: int, secret: str) -> str:
        """Returns the secret, encrypted for its owner, as ASCII."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._keys[0].encrypt(nonce, secret.encode(), _of(owner))
        return f"{self.key_name}.{base64.urlsafe_b64encode(sealed).decode()}"

    def opened(self, owner: int, locked: str) -> str:
        """Returns the secret. Raises Locked."""
        with suppress(ValueError):
            sealed = base64.urlsafe_b64decode(locked.partition(".")[2])
            for key in self._keys:
                with suppress(InvalidTag):
                    return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _of(owner)).decode()
        raise Locked


def _of(owner: int) -> bytes:
    return f"owner {owner}".encode()
