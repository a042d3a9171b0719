"""What people give of themselves: registration, log-in, the own profile."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, validate, validates_schema

from api.schemas.fields import Storable, Text
from shared.domain.users import MAX_EMAIL_LENGTH, MAX_NAME_LENGTH, MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH


def _email(**settings: Any) -> Storable:
    return Storable(validate=[validate.Length(max=MAX_EMAIL_LENGTH), validate.Email()], **settings)


def _new_password(**settings: Any) -> Storable:
    return Storable(validate=validate.Length(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH), **settings)


def _given_password(**settings: Any) -> Storable:
    """One to compare: too short a one is simply wrong."""
    return Storable(validate=validate.Length(max=MAX_PASSWORD_LENGTH), **settings)


class RegisterBody(Schema):
    email = _email(required=True)
    password = _new_password(required=True)
    name = Text(required=True, longest=MAX_NAME_LENGTH)


class LoginBody(Schema):
    email = Storable(required=True, validate=validate.Length(max=MAX_EMAIL_LENGTH))
    password = _given_password(required=True)


class RefreshBody(Schema):
    refresh_token = Storable(required=True, validate=validate.Length(1, 1000))


class ProfileBody(Schema):
    """`current_password` is needed to change the e-mail address or the password."""

    name = Text(longest=MAX_NAME_LENGTH)
    email = _email()
    password = _new_password()
    current_password = _given_password()

    @validates_schema
    def _needs_current_password(self, data: dict[str, Any], **_: Any) -> None:
        if ("email" in data or "password" in data) and "current_password" not in data:
            raise ValidationError({"current_password": ["Needed to change the e-mail address or the password."]})


class LeaveBody(Schema):
    current_password = _given_password(required=True)
