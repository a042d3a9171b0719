"""The secret that signs tokens: JWT_SECRET, or in development one that is made once and kept in the data directory."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from shared.settings import MINIMUM_SECRET_BYTES, InvalidSettings, Settings

FILE = "jwt_secret"


def jwt_secret(settings: Settings) -> str:
    """The secret of these settings; every process of one data directory gets the same. Raises InvalidSettings."""
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


def _make(path: Path) -> None:
    """Complete or absent at any moment, and one only, however many processes start together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
