"""The secret that signs tokens: JWT_SECRET, or in development a secret that is made once in the data directory.

Everything else that the processes sign has a key of its own, derived from the secret.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from shared.settings import MINIMUM_SECRET_BYTES, InvalidSettings, Settings

FILE = "jwt_secret"
_OF_THIS_PROCESS = secrets.token_urlsafe(48)
"""Stands for a secret that is not set, in parts of the service that run alone: no other process can know it."""


def jwt_secret(settings: Settings) -> str:
    """Returns the secret. All processes with the same data directory get the same one. Raises InvalidSettings."""
    if settings.jwt_secret or settings.is_production:
        return settings.jwt_secret
    path = settings.data_directory / FILE
    try:
        if not path.exists():
            _make(path)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"DATA_DIRECTORY: without JWT_SECRET one is kept in {path}: {error}") from None
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise InvalidSettings(
            f"JWT_SECRET: not set, and {path} holds less than {MINIMUM_SECRET_BYTES} bytes: remove it"
        )
    return secret


def keys_for(settings: Settings, purpose: str) -> tuple[bytes, ...]:
    """Returns the keys for a purpose, of 32 bytes each. The first one signs; signatures of all of them are accepted.

    What is signed for one purpose is never accepted for another. All processes with the same secret have the same keys.
    """
    known = (settings.jwt_secret or _OF_THIS_PROCESS,)
    return tuple(hmac.digest(secret.encode(), f"daveslist {purpose}".encode(), "sha256") for secret in known)


def _make(path: Path) -> None:
    """Make the file, atomically and once, even if several processes start together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
