"""How long a text and how great a number may be, with errors in words for people."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validate


class Length(validate.Length):
    """The length of a text, in characters."""

    def __call__(self, value: Any) -> Any:
        length = len(value)
        if self.min is not None and length < self.min:
            raise ValidationError("Must not be empty." if self.min == 1 else f"At least {self.min} characters.")
        if self.max is not None and length > self.max:
            raise ValidationError(f"At most {self.max} characters.")
        return value


class Range(validate.Range):
    """The least and the greatest number."""

    def __call__(self, value: Any) -> Any:
        if self.min is not None and value < self.min:
            raise ValidationError(f"At least {self.min}.")
        if self.max is not None and value > self.max:
            raise ValidationError(f"At most {self.max}.")
        return value
