"""Bodies about passkeys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from marshmallow import fields

from api.schemas.accounts import Code, DeviceId, GivenPassword
from shared.domain.declared import Text
from shared.domain.passkeys import MAX_PASSKEY_NAME_LENGTH

Credential = Annotated[
    dict[str, Any],
    fields.Dict,
    "What the browser's `PublicKeyCredential.toJSON()` returns (WebAuthn, 5.1): base64url for bytes.",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyOptionsBody:
    current_password: GivenPassword
    code: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyBody:
    name: Annotated[str, Text(MAX_PASSKEY_NAME_LENGTH), "For the owner, to tell their passkeys apart."]
    credential: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyLoginBody:
    credential: Credential
    device_id: DeviceId | None = None
