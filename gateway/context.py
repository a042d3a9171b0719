"""What the gateway's channels work with, beside their socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.channels.rate_limit import UserBuckets
from shared.access.admission import Admission
from shared.repositories.blocks import BlockRepository
from shared.repositories.listing_access import Audience
from shared.repositories.message_writer import MessageWriter
from shared.repositories.messages import MessageRepository
from shared.repositories.shared_reads import SharedReads
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process. A channel of a new resource finds its repository here."""

    settings: Settings
    admission: Admission
    blocks: BlockRepository
    messages: MessageRepository
    message_writer: MessageWriter
    budgets: Mapping[str, UserBuckets] | None
    """How often a user may push each event of `private_chat`; None where nothing is limited."""
    join_budget: UserBuckets | None
    """How often a user may join, or hand in an access token; None where nothing is limited."""
    audiences: SharedReads[int, Audience]
    """Who may see a listing, by its id."""
