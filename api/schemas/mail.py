"""Bodies about mail."""

from __future__ import annotations

from dataclasses import dataclass

from marshmallow import ValidationError

from shared.domain.mails import SWITCHES, Choice, MailKind


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoiceBody:
    kind: MailKind
    choice: Choice

    def __post_init__(self) -> None:
        switch = SWITCHES.get(self.kind)
        if switch is None:
            raise ValidationError({"kind": ["These mails cannot be switched off."]})
        if self.choice not in switch.choices:
            raise ValidationError({"choice": [f"Must be one of: {', '.join(switch.choices)}."]})
