"""What catching up costs does not grow with how many messages were deleted."""

from __future__ import annotations

import pytest

from shared.postgres import Database, Statement
from shared.repositories.messages import MOST_DELETIONS, MessageRepository
from shared.settings import Settings
from tests.shared.repositories.test_moderation_plans import Watched

MESSAGES = 5_000
FILL = f"""
INSERT INTO messages (from_id, to_id, text, deleted_at, inserted_at)
    SELECT 1 + n %% 2, 2 - n %% 2, '', now() - ({MESSAGES} - n) * interval '1 ms', now() - (10000 - n) * interval '1 s'
    FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO deleted_messages (message_id, from_id, to_id, deleted_at)
    SELECT id, from_id, to_id, deleted_at FROM messages WHERE deleted_at IS NOT NULL;
ANALYZE messages, deleted_messages"""
LIMIT = 100
MOST_BLOCKS = 100
"""As many as a tenth of MOST_DELETIONS: an index has them close together."""


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
async def test_a_join_reads_a_bounded_part_of_what_was_deleted(
    database: Database, owner: Database, settings: Settings, share: float
) -> None:
    for statement in FILL.split(";"):
        await owner.execute(Statement("", statement))
    watched = Watched(settings)
    watched.read = []
    asked = (1, int(share * MESSAGES))
    found = (await MessageRepository(watched).catch_ups([asked], limit=LIMIT, overlap_seconds=60.0))[asked]
    await watched.close()
    [(_, blocks, whole)] = watched.read
    assert whole == set()
    assert blocks <= MOST_BLOCKS
    # All were deleted after they were seen. Those that are later than the id come with the messages.
    names_some = share > 1 - MOST_DELETIONS / MESSAGES
    assert len(found.deleted) == (LIMIT if names_some else 0)
    assert found.has_more_deleted is (share > 0)
