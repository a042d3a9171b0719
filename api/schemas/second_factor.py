"""Bodies about the second factor of the user's own account."""

from __future__ import annotations

from dataclasses import dataclass

from api.schemas.accounts import Code, GivenPassword


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordBody:
    current_password: GivenPassword


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBody:
    code: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedBody:
    current_password: GivenPassword
    code: Code
