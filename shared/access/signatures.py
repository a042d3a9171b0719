"""Signs short texts, such as the ids in tokens, so that the service recognizes those that it gave out. Pure."""

from __future__ import annotations

import base64
import hmac

from shared.access.secret import keys_for


class Signatures:
    """HMAC-SHA256 (RFC 2104) in base64url without padding, with keys that are derived for one purpose."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: tuple[str, ...], purpose: str) -> None:
        """`secrets` are the service's secrets; what is signed for one purpose is never accepted for another."""
        self._keys = keys_for(secrets, purpose)

    def of(self, text: str) -> str:
        """Returns the text's signature with the first secret. Raises UnicodeEncodeError for a lone surrogate."""
        return _signature(self._keys[0], text)

    def fits(self, signature: str, text: str) -> bool:
        """Returns whether the text was signed with one of the secrets. The signature must be ASCII.

        Raises UnicodeEncodeError for a text with a lone surrogate.
        """
        # A loop takes less time than any() with a generator.
        for key in self._keys:  # noqa: SIM110
            if hmac.compare_digest(signature, _signature(key, text)):
                return True
        return False


def _signature(key: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).rstrip(b"=").decode()
