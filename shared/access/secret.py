"""The secrets that sign tokens: JWT_SECRETS, or in development a secret that is made once in the data directory.

Everything else that the processes sign has keys of its own, derived from the secrets. The first secret signs. What any
of them signed is accepted, so that a secret can be replaced while people stay logged in.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from shared.access.secret_faults import secrets_fault
from shared.settings import InvalidSettings, Settings, split_secrets

FILE = "jwt_secret"
_OF_THIS_PROCESS = secrets.token_urlsafe(48)
"""Stands for a secret that is not set, in parts of the service that run alone: no other process can know it."""


def jwt_secrets(settings: Settings) -> tuple[str, ...]:
    """Returns the secrets. All processes with the same data directory get the same ones. Raises InvalidSettings."""
    if settings.jwt_secrets or settings.is_production:
        return settings.jwt_secrets
    path = settings.data_directory / FILE
    try:
        make_once(path, secrets.token_urlsafe(48))
        found = split_secrets(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"DATA_DIRECTORY: without JWT_SECRETS one is kept in {path}: {error}") from None
    fault = secrets_fault(found)
    if fault:
        raise InvalidSettings(f"JWT_SECRETS: not set, and the secret in {path} cannot be used: it {fault}")
    return found


def keys_for(secrets: tuple[str, ...], purpose: str) -> tuple[bytes, ...]:
    """Returns the keys for a purpose, of 32 bytes each. The first one signs; signatures of all of them are accepted.

    What is signed for one purpose is never accepted for another. All processes with the same secret have the same key.
    Without a secret, no other process has the key.
    """
    known = secrets or (_OF_THIS_PROCESS,)
    return tuple(hmac.digest(secret.encode(), f"daveslist {purpose}".encode(), "sha256") for secret in known)


def make_once(path: Path, content: str) -> None:
    """Make the file if it is not there, atomically and once, even if several processes start together.

    Only its owner may read it. Raises OSError.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
