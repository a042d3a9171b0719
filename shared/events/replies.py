"""What those who look at a listing are told of its replies. The payload is the reply as REST shows it."""

from __future__ import annotations

REPLY_CREATED = "reply_created"
