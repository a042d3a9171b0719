"""Events on `moderation`, the topic of moderators and admins: the queue has changed, and who looks at which group.

An event about the queue says which group has changed, and nothing of what was reported: clients read the group again by
REST. Who is reported gets none about themselves.

Presence on the topic says who looks at what: its keys are those of `claim_key`, and each meta has the `user_id`, the
`name` and `at`, when the moderator took the group, in milliseconds since the epoch, and as `person_id` the one whom the
group is about, who sees none of it. Of several metas the one with the least `at` holds the group; of equal ones, the
one with the least `phx_ref`. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.domain.moderation import GroupSubject

REPORTED = "reported"
"""Something was reported, or found by the program."""
RESOLVED = "resolved"
"""Something was closed."""
REOPENED = "reopened"
"""A closed report was opened again."""
QUEUE_EVENTS = frozenset({REPORTED, RESOLVED, REOPENED})
"""Their payload is that of `queue_payload`."""

SANCTIONED = "sanctioned"
"""Somebody was warned, suspended or banned, or a listing of theirs was hidden."""
OBJECTED = "objected"
"""Somebody has objected to a sanction."""
DECIDED = "decided"
"""A moderator has decided about an objection."""

LOOK_AGAIN = "look_again"
"""From a gateway that may have missed events: read the queue again. Payload: `{}`."""
TAKEN = "taken"
"""A moderator took over a group that another one held. Payload: `{kind, id, person_id, by: {id, name}}`."""


def queue_payload(subject: GroupSubject, person_id: int, entry_ids: Sequence[int]) -> dict[str, Any]:
    """Returns the payload of an event about the queue: the group, the person whom it is about, and the entries."""
    return {"kind": subject.kind.value, "id": subject.id, "person_id": person_id, "ids": list(entry_ids)}


def sanctioned_payload(sanction_id: int, kind: str, person_id: int) -> dict[str, Any]:
    """Returns the payload of SANCTIONED, OBJECTED and DECIDED: moderators read the sanction by REST."""
    return {"id": sanction_id, "kind": kind, "person_id": person_id}


def claim_key(subject: GroupSubject) -> str:
    """Returns the key of a group in presence: `listing:5` or `person:7`."""
    return f"{subject.kind.value}:{subject.id}"
