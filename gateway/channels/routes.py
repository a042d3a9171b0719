"""Maps topics to channels."""

from __future__ import annotations

from gateway.channel import Channel
from gateway.channels.alerts import Alerts
from gateway.channels.listing import Listing
from gateway.channels.moderation import Moderation
from gateway.channels.private_chat import PrivateChat
from gateway.channels.system import System
from gateway.protocol.topics import TopicRoutes
from shared.events.topics import MODERATION, SYSTEM

ROUTES: TopicRoutes[type[Channel]] = TopicRoutes(
    (
        ("alerts:*", Alerts),
        ("private_chat:*", PrivateChat),
        ("listing:*", Listing),
        (MODERATION, Moderation),
        (SYSTEM, System),
    )
)
