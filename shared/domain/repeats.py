"""Requests that a client may repeat: under one key of a user, one thing is made, and its answer is kept. Pure.

The key is the client's, in the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_KEY_LENGTH = 255
"""The most characters of a key."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request with a key. Two requests with the same key are the same if their fingerprints are."""

    user_id: int
    key: str
    fingerprint: str
    """SHA-256 of the method, the path with its query, and the body; in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to the first request with a key."""

    status: int
    json: str


class KeyReused(Exception):
    """Another request had this key."""


class KeyInUse(Exception):
    """The first request with this key is still being carried out."""


class Repeated(Exception):
    """The request is a repeat: it has this answer, and must change nothing."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__("the request is a repeat")
        self.answer = answer
