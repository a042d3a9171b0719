"""Seals what the processes tell each other through Redis, so that whoever else can write there is not believed. Pure.

A sealed text is followed by a tag, the keyed BLAKE2b (RFC 7693) of the text and of the place that it is for. So nobody
can make one without a key, or move one to another place. A seal does not show whether a text is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Self

from shared.access.secret import keys_for
from shared.settings import Settings

TAG_BYTES = 16


class NotSealed(ValueError):
    """The text was not sealed by this service, or was sealed for another place."""


class Seal:
    """Seals with the first of the keys, and recognizes the seals of all of them."""

    __slots__ = ("_states",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Each key has 1 to 64 bytes."""
        # A copy of a prepared state takes a quarter less time than a new hash with the key.
        self._states = [blake2b(key=key, digest_size=TAG_BYTES) for key in keys]

    @classmethod
    def of(cls, settings: Settings, purpose: str) -> Self:
        """Returns the service's seal for one purpose. Deployments with another Redis prefix have another seal."""
        return cls(keys_for(settings.jwt_secrets, f"{purpose}, {settings.redis_prefix}"))

    def sealed(self, place: str, text: bytes) -> bytes:
        """Returns the text and its tag. `place` says what the text is for, such as its topic."""
        state = self._states[0].copy()
        state.update(_framed(place) + text)
        return text + state.digest()

    def opened(self, place: str, sealed: bytes) -> bytes:
        """Returns the text without its tag. Raises NotSealed."""
        text, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
        content = _framed(place) + text
        for prepared in self._states:
            state = prepared.copy()
            state.update(content)
            if compare_digest(state.digest(), tag):
                return text
        raise NotSealed(f"not sealed for {place!r}")


def _framed(place: str) -> bytes:
    # The length shows where the place ends, so that no other place and text make the same bytes.
    return f"{len(place)}:{place}".encode("utf-8", "surrogatepass")
