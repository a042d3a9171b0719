"""Device ids: the answer to a log-in has one, and the next log-in from the same device sends it.

Somebody who guesses passwords uses up an account's allowance for log-ins from unknown devices. A log-in from a device
that has logged in to this account before has an allowance of its own, so guesses do not keep the owner out
(OWASP, Slow Down Online Guessing Attacks with Device Cookies). A device id alone admits nobody. Pure.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass

from shared.domain.ids import parse_id

MAX_DEVICE_ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Device:
    """A device from which this user has logged in."""

    user_id: int
    name: str
    """Random text that tells the user's devices apart."""


class Devices:
    """Issues and reads device ids, `USER.NAME.SIGNATURE`, signed with a key of their own."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"daveslist device id", "sha256")

    def issue(self, user_id: int) -> str:
        """Returns an id for a new device."""
        return self._signed(Device(user_id, secrets.token_urlsafe(12)))

    def read(self, device_id: str | None) -> Device | None:
        """Returns the device, or None if the id was not issued here."""
        user, _, rest = (device_id or "").partition(".")
        user_id = parse_id(user)
        if device_id is None or user_id is None or not device_id.isascii():
            return None
        device = Device(user_id, rest.partition(".")[0])
        return device if hmac.compare_digest(device_id, self._signed(device)) else None

    def _signed(self, device: Device) -> str:
        text = f"{device.user_id}.{device.name}"
        signature = hmac.digest(self._key, text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
