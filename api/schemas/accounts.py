"""Bodies about the user's own account: registration, log-in, profile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from marshmallow import ValidationError

from api.devices import MAX_DEVICE_ID_LENGTH
from api.password_rules import common_fault
from api.schemas import fields
from api.schemas.bounds import Length
from api.schemas.fields import EmailAddress, Password, Storable, Trimmed
from shared.domain.declared import Text, left_out
from shared.domain.passwords import unfit
from shared.domain.second_factor import MAX_CODE_LENGTH
from shared.domain.users import MAX_EMAIL_LENGTH, MAX_NAME_LENGTH, MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH


def _is_hard_to_guess(password: str) -> None:
    # All validators run, so one error is enough for a password of a wrong length.
    if MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        fault = unfit(password) or common_fault(password)
        if fault:
            raise ValidationError(fault)


Name = Annotated[
    str,
    Text(MAX_NAME_LENGTH),
    "Stored in Unicode's form NFKC with single spaces. No character is invisible. A word has letters of one alphabet. "
    "Only moderators and admins may have a name that sounds like the staff.",
]
Email = Annotated[
    str,
    EmailAddress,
    "Kept without blanks around it. No character is invisible. All spellings of an address are one account: the domain "
    "may be in Unicode or in ASCII (IDNA), and capitals do not count.",
]
NewPassword = Annotated[
    str,
    partial(Password, MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH, validate=[_is_hard_to_guess]),
    "Not one of the passwords that many people use, and not the name or the e-mail address of the account. Composed "
    "and decomposed characters are the same (RFC 8265, OpaqueString). No character is a control character, invisible "
    "or not defined by Unicode.",
]
# These two are only compared. A password that is too short is a wrong password, and an invalid address is unknown.
GivenPassword = Annotated[str, partial(fields.GivenPassword, None, MAX_PASSWORD_LENGTH)]
Code = Annotated[
    str,
    partial(Storable, validate=Length(1, MAX_CODE_LENGTH)),
    "Six digits from the app, or a recovery code. Each counts once. Blanks and hyphens do not matter.",
]
DeviceId = Annotated[
    str,
    partial(Storable, validate=Length(max=MAX_DEVICE_ID_LENGTH)),
    "What the last log-in from this device gave. Then other people's wrong guesses do not keep the user out, and the "
    "user gets no mail about a new device.",
]
TakesRequests = Annotated[
    bool,
    fields.Truth,
    "Whether people may write to you about anything, or first only about a listing of yours.",
]
GivenEmail = Annotated[str, partial(Trimmed, MAX_EMAIL_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBody:
    email: Email
    password: NewPassword
    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginBody:
    email: GivenEmail
    password: GivenPassword
    code: Code | None = None
    device_id: DeviceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthBody:
    """`name` and `email` are those of the account, as far as they are typed."""

    password: GivenPassword
    name: Annotated[str, partial(Storable, validate=Length(max=MAX_NAME_LENGTH))] | None = None
    email: GivenEmail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshBody:
    refresh_token: Annotated[str, partial(Storable, validate=Length(1, 1000))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBody:
    """`current_password` is needed to change the e-mail address or the password."""

    name: Name | None = left_out()
    email: Email | None = left_out()
    password: NewPassword | None = left_out()
    current_password: GivenPassword | None = left_out()
    takes_requests: TakesRequests | None = left_out()

    def __post_init__(self) -> None:
        if (self.email is not None or self.password is not None) and self.current_password is None:
            raise ValidationError({"current_password": ["Needed to change the e-mail address or the password."]})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveBody:
    current_password: GivenPassword
