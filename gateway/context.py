"""What the gateway's channels need in addition to their connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.channels.rate_limit import UserBuckets
from shared.access.admission import Admission
from shared.private_chat import Chats
from shared.repositories.alerts import CaughtUpAlerts
from shared.repositories.listing_access import Audience
from shared.repositories.messages import CaughtUp
from shared.repositories.shared_reads import SharedReads
from shared.settings import Settings


class Watched(Protocol):
    """What the channel `system` asks for; gateway/system_reports.py has it."""

    def watch(self) -> None: ...
    def ask_for(self, user_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """Each process has one. Add the repository of a new resource here, for its channel."""

    settings: Settings
    admission: Admission
    chats: Chats
    budgets: Mapping[str, UserBuckets] | None
    """How often a user may push each event of `private_chat`, apart from the others; None means no limit."""
    join_budget: UserBuckets | None
    """How often a user may join a topic or send a new access token; None means no limit."""
    audiences: SharedReads[int, Audience]
    """Listing id -> who may see the listing."""
    blocked: SharedReads[int, frozenset[int]]
    """User id -> the ids of those whom the user has blocked, if there are any."""
    catch_ups: SharedReads[tuple[int, int], CaughtUp]
    """User id and `after_id` of a join -> the messages that the client may lack."""
    alert_catch_ups: SharedReads[tuple[int, int], CaughtUpAlerts]
    """The same of alerts."""
    system: Watched
    """The reports for admins."""
