"""The event about replies for a listing's viewers. Its payload is the reply as REST shows it."""

from __future__ import annotations

REPLY_CREATED = "reply_created"
