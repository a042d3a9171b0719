"""What the gateway's channels work with, beside their socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.channels.rate_limit import UserBuckets
from gateway.identities import Identities
from gateway.identity import Authenticator
from shared.repositories.blocks import BlockRepository
from shared.repositories.listing_access import ListingAccess
from shared.repositories.message_writer import MessageWriter
from shared.repositories.messages import MessageRepository
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process. A channel of a new resource finds its repository here."""

    settings: Settings
    authenticate: Authenticator
    identities: Identities
    blocks: BlockRepository
    messages: MessageRepository
    message_writer: MessageWriter
    budgets: Mapping[str, UserBuckets] | None
    """How often a user may push each event of `private_chat`; None where nothing is limited."""
    listing_access: ListingAccess
