"""Says to push services who sends: a signed token for each of them (VAPID, RFC 8292)."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.settings import InvalidSettings, Settings

TOKEN_SECONDS = 12 * 3600
"""At most a day (RFC 8292, 2)."""
_KEPT_SECONDS = 3600
_MOST_KEPT = 100
_DEVELOPMENT = "mailto:operator@example.com"


class Vapid:
    """The key of this service. `public_key` is what browsers subscribe with, in base64url."""

    def __init__(self, private_key: str, contact: str, clock: Callable[[], float] = time.time) -> None:
        """Raises InvalidSettings if it is no key."""
        number = int.from_bytes(base64.urlsafe_b64decode(private_key.rstrip("=") + "="), "big")
        try:
            self._key = ec.derive_private_key(number, ec.SECP256R1())
        except ValueError:
            raise InvalidSettings("VAPID_PRIVATE_KEY: is no private key of P-256") from None
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        self._contact = contact
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Vapid | None:
        """Returns the key of the settings; None without one. Raises InvalidSettings."""
        if not settings.vapid_private_key:
            return None
        return cls(settings.vapid_private_key, settings.vapid_contact or settings.site_url or _DEVELOPMENT)

    def authorization(self, endpoint: str) -> str:
        """Returns the header `Authorization` of a request to this endpoint."""
        parts = urlsplit(endpoint)
        origin = f"{parts.scheme}://{parts.netloc}"
        now = self._clock()
        made_at, header = self._kept.get(origin, (0.0, ""))
        if not header or not 0 <= now - made_at < _KEPT_SECONDS:
            claims = {"aud": origin, "exp": int(now) + TOKEN_SECONDS, "sub": self._contact}
            header = f"vapid t={jwt.encode(claims, self._key, 'ES256')}, k={self.public_key}"
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[origin] = now, header
        return header
