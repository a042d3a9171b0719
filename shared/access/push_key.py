"""The key that signs push messages: VAPID_PRIVATE_KEY, or in development a key that is made once and kept.

It is any number of 32 bytes that is a private key of P-256; api/push/vapid.py uses it.
"""

from __future__ import annotations

import base64
import secrets

from shared.access.secret import make_once
from shared.settings import InvalidSettings, Settings

FILE = "vapid_private_key"


def new_push_key() -> str:
    """Returns a new key in base64url. It is below 2^255, and so below the order of P-256."""
    number = secrets.randbits(255) or 1
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def push_key(settings: Settings) -> str:
    """Returns the key; "" in production without one. Raises InvalidSettings."""
    if settings.vapid_private_key or settings.is_production:
        return settings.vapid_private_key
    path = settings.data_directory / FILE
    try:
        make_once(path, new_push_key())
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"DATA_DIRECTORY: without VAPID_PRIVATE_KEY one is kept in {path}: {error}") from None
