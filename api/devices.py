"""Device ids: the answer to a log-in has one, and the next log-in from the same device sends it.

Somebody who guesses passwords uses up an account's allowance for log-ins from unknown devices. A log-in from a device
that has logged in to this account before has an allowance of its own, so guesses do not keep the owner out
(OWASP, Slow Down Online Guessing Attacks with Device Cookies). A device id alone admits nobody. Pure.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from shared.access.signatures import Signatures
from shared.domain.ids import parse_id

MAX_DEVICE_ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Device:
    """A device from which this user has logged in."""

    user_id: int
    name: str
    """Random text that tells the user's devices apart."""


class Devices:
    """Issues and reads device ids, `USER.NAME.SIGNATURE`, signed with keys of their own."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._signatures = Signatures(secrets, "device id")

    def issue(self, user_id: int) -> str:
        """Returns an id for a new device."""
        return self.id_of(Device(user_id, secrets.token_urlsafe(12)))

    def id_of(self, device: Device) -> str:
        """Returns the device's id, signed with the first secret."""
        text = f"{device.user_id}.{device.name}"
        return f"{text}.{self._signatures.of(text)}"

    def read(self, device_id: str | None) -> Device | None:
        """Returns the device, or None if the id was not issued here."""
        if device_id is None or not device_id.isascii():
            return None
        text, _, signature = device_id.rpartition(".")
        user, _, name = text.partition(".")
        user_id = parse_id(user)
        if user_id is None or not self._signatures.fits(signature, text):
            return None
        return Device(user_id, name)
