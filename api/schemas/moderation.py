"""The bodies with which moderators close a group of their queue, and decide about held messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from api.schemas.fields import Time
from shared.domain.declared import Id
from shared.domain.holds import HoldDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenGroupBody:
    """`up_to` is `newest_at` of the group, as it was read."""

    up_to: Annotated[datetime, Time]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDecisionBody:
    """`up_to` is `newest_id` of the hold, as it was read. Without it, the decision is about all that waits by then."""

    decision: HoldDecision
    up_to: Id | None = None
