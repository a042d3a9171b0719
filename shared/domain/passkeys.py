"""Passkeys: keys on people's devices with which they log in without a password (WebAuthn). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_PASSKEYS = 20
MAX_PASSKEY_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A key whose device has answered the challenge. `credential_id` and `public_key` are base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    name: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A stored key, as its owner sees it."""

    id: int
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class PasskeyOfUser:
    """What a log-in with the key is checked against."""

    id: int
    user_id: int
    public_key: str
    sign_count: int


class TooManyPasskeys(Exception):
    """The user has MAX_PASSKEYS."""


class PasskeyKnown(Exception):
    """This key is stored already."""


class PasskeyNotFound(Exception):
    """The user has no such key."""


class PasskeyRefused(Exception):
    """The answer of the device is wrong, is too old, or was used before."""
