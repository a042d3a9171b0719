"""The second factor of an account: one-time codes from an app (TOTP, RFC 6238), recovery codes. Pure but for chance.

A code counts for a step of 30 seconds. One of the step before or after is accepted too, because clocks differ and
people type slowly. A recovery code has 120 random bits, so a plain hash of it tells nobody the code (OWASP
ASVS 5.0, 6.5.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp

STEP_SECONDS = 30
_STEPS_AROUND = 1
MAX_CODE_LENGTH = 64
"""Characters of what may be typed, with blanks and hyphens."""
RECOVERY_CODES = 10
ISSUER = "Daveslist"

_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_RECOVERY_BYTES = 15
_GROUP = 6
_BETWEEN = re.compile(r"[\s\-]+")


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """The state of an account's second factor. `since` is None while it is off."""

    since: datetime | None
    codes_left: int
    """Recovery codes that have not been used."""


class SecondFactorOn(Exception):
    """The account has a second factor already."""


class SecondFactorOff(Exception):
    """The account has no second factor, or none that waits for its first code."""


class WrongCode(Exception):
    """The code is wrong, is too old, or was used before."""


def new_seed() -> str:
    """Returns a new seed in base32, 160 bits (RFC 4226, 4)."""
    return pyotp.random_base32(32)


def address_of(seed: str, email: str) -> str:
    """Returns the address with which an app takes the seed over: otpauth://totp/..."""
    return pyotp.TOTP(seed, interval=STEP_SECONDS).provisioning_uri(name=email, issuer_name=ISSUER)


def tidied(typed: str) -> str:
    """Returns a code as it is compared: without blanks and hyphens, in small letters."""
    return _BETWEEN.sub("", typed).lower()


def is_of_app(code: str) -> bool:
    """True for a code that has the form of those of apps; others are recovery codes."""
    return _CODE.fullmatch(code) is not None


def step_of(seed: str, code: str, now: float) -> int | None:
    """Returns the step that the code counts for; None if it is wrong. `now` is in seconds since the epoch.

    The caller has to refuse a code of a step that was used, or of an earlier one.
    """
    totp, current = pyotp.TOTP(seed, interval=STEP_SECONDS), int(now // STEP_SECONDS)
    found = None
    # All are compared, so that the time does not tell which one it was.
    for step in range(current - _STEPS_AROUND, current + _STEPS_AROUND + 1):
        if hmac.compare_digest(totp.generate_otp(step), code):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Returns new recovery codes: four groups of six letters and digits."""
    return [_spelled(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def hash_of(user_id: int, recovery_code: str) -> str:
    """Returns what is stored of a recovery code."""
    return hashlib.sha256(f"{user_id}:{tidied(recovery_code)}".encode("utf-8", "replace")).hexdigest()


def _spelled(data: bytes) -> str:
    letters = base64.b32encode(data).decode().lower()
    return "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))
