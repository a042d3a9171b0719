"""Bodies of sanctions, objections and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.schemas.recovery import LinkToken
from api.schemas.users import Reason
from shared.domain.declared import Text, Whole
from shared.domain.sanctions import MAX_NOTE_LENGTH, MAX_OBJECTION_LENGTH, MAX_SUSPENSION_DAYS, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningBody:
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspensionBody:
    reason: Reason
    days: Annotated[int, Whole(1, MAX_SUSPENSION_DAYS), "How long it lasts from now on."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionBody:
    token: LinkToken
    text: Annotated[str, Text(MAX_OBJECTION_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBody:
    outcome: Outcome
    answer: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteBody:
    text: Annotated[str, Text(MAX_NOTE_LENGTH)]
