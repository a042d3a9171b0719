"""Bodies with which people use the links in mails, and ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from api.mail_links import MAX_TOKEN_LENGTH
from api.schemas.accounts import GivenEmail, NewPassword
from api.schemas.bounds import Length
from api.schemas.fields import Storable

LinkToken = Annotated[
    str, partial(Storable, validate=Length(1, MAX_TOKEN_LENGTH)), "What the link in the mail has behind its #."
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenBody:
    email: GivenEmail


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetBody:
    token: LinkToken
    password: NewPassword


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmBody:
    token: LinkToken
