"""How a private message is read from its row."""

from __future__ import annotations

from shared.repositories.contacts import READ_IN_SECRET

COLUMNS = f"""m.id, m.from_id, m.to_id, m.text, m.listing_id, m.inserted_at, nullif(m.read_at, {READ_IN_SECRET}),
    m.is_request, m.held_at IS NOT NULL, m.was_id, m.deleted_at, m.is_declined, m.pictures"""
"""The columns of a Message, from `messages m`."""
WIDTH = 13
"""The number of these columns."""
NOT_TO_READ = READ_IN_SECRET
"""The `read_at` of a held message: it counts as read, so it is unread nowhere, and its sender sees it as not read."""
