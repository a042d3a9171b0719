"""Held messages: nearly the same text to many people waits for a moderator, or for the rule. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

MAX_HELD_TEXTS = 5
"""The most texts of held messages that are read with a hold: the latest ones."""
MAX_HELD_PICTURES = 10
"""The most pictures of held messages that are read with a hold: those of the latest messages."""


class HoldDecision(StrEnum):
    """What becomes of the messages that one person has waiting."""

    LET_GO = "let_go"
    """They are delivered now."""
    KEPT = "kept"
    """They are never delivered. Their sender is not told."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The messages of one sender that wait for a decision."""

    id: int
    user_id: int
    user_name: str
    created_at: datetime
    decided_at: datetime | None
    decided_by: int | None
    """None if nobody has decided, or the rule has let all go."""
    decision: HoldDecision | None
    messages: int
    """How many wait."""
    people: int
    """To how many people."""
    texts: Sequence[str]
    """Different ones of those that wait, the latest first."""
    newest_id: int | None
    """The greatest id of a message that waits; None if none does."""
    pictures: Sequence[Mapping[str, Any]]
    """Those of the messages that wait, the latest first, as their payloads have them."""


class HoldNotFound(Exception):
    """There is no such hold, or it is about the moderator who asks."""
