"""Names of e-mail addresses that say nothing to whoever has no key, for what has to outlast an account. Pure.

Who was blocked, left, and comes back with the same confirmed address is still blocked. Until then the address is stored
nowhere; beside the block is its keyed BLAKE2b (RFC 7693). When all secrets have been replaced, no old name is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Self

from shared.access.secret import keys_for
from shared.settings import Settings

HASH_BYTES = 32


class AddressHashes:
    """Names with the first of the keys, and recognizes the names by all of them."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Returns the service's names."""
        return cls(keys_for(settings.jwt_secrets, "addresses of blocked people"))

    def all_of(self, account: str) -> list[str]:
        """Returns the names that an address may have been given, the current one first.

        `account` is the text that all its spellings share (shared/domain/email_addresses.py).
        """
        return [blake2b(account.encode(), key=key, digest_size=HASH_BYTES).hexdigest() for key in self._keys]
