"""The push subscription of a browser, as the browser writes it (`PushSubscription.toJSON()` of the Push API)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from marshmallow import Schema, ValidationError, fields

from api.push.encryption import is_usable
from api.schemas.bounds import Length
from api.schemas.fields import Storable, Truth
from shared.domain.push import MAX_ENDPOINT_LENGTH

_KeysSchema = Schema.from_dict(
    {
        "p256dh": Storable(required=True, validate=Length(1, 100)),
        "auth": Storable(required=True, validate=Length(1, 40)),
    },
    name="PushKeys",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushBody:
    """`endpoint` and `keys` are what the browser gave. Other fields of a browser's subscription are not used."""

    endpoint: Annotated[str, partial(Storable, validate=Length(1, MAX_ENDPOINT_LENGTH))]
    keys: Annotated[dict[str, str], partial(fields.Nested, _KeysSchema)]
    expirationTime: Annotated[Any, fields.Raw] | None = None
    shows_text: Annotated[bool, Truth, "With the messages' text."] = False

    def __post_init__(self) -> None:
        if not is_usable(self.p256dh, self.auth):
            raise ValidationError({"keys": ["Not the keys of a push subscription."]})

    @property
    def p256dh(self) -> bytes:
        return _decoded(self.keys["p256dh"])

    @property
    def auth(self) -> bytes:
        return _decoded(self.keys["auth"])


def _decoded(text: str) -> bytes:
    """Returns the bytes of base64url, with or without padding; none if it is something else."""
    try:
        bare = text.rstrip("=")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
