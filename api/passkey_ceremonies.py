"""The two ceremonies of passkeys (WebAuthn, 7): a device makes a key for this site, and answers a challenge with it.

The library is loaded when the first passkey is used: it takes 25 MB and a while. A key belongs to the site's host name;
an address without a name, such as 127.0.0.1, can have none. The device asks its owner for a finger, a face or a PIN, so
a log-in with a passkey has two factors and needs no code.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from yarl import URL

from api.challenges import SECONDS, Challenges
from shared.domain.passkeys import NewPasskey, PasskeyOfUser, PasskeyRefused
from shared.domain.users import User

NAME_OF_SITE = "Daveslist"
_REGISTER, _LOG_IN = "register", "log in"


class NoHostName(Exception):
    """The site's address has no host name, so it cannot have passkeys."""


class Ceremonies:
    """Makes the options for browsers, and checks the answers of devices."""

    def __init__(self, challenges: Challenges) -> None:
        self._challenges = challenges

    def registration(self, origin: str, user: User, known: Sequence[str]) -> dict[str, Any]:
        """Returns PublicKeyCredentialCreationOptionsJSON. `known` are the user's keys. Raises NoHostName."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_registration_options(
            rp_id=_host_name(origin),
            rp_name=NAME_OF_SITE,
            user_id=str(user.id).encode(),
            user_name=user.email,
            user_display_name=user.name,
            challenge=self._challenges.issue(_REGISTER, user.id),
            timeout=SECONDS * 1000,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=_decoded(one)) for one in known],
        )
        return _as_json(webauthn.options_to_json(options))

    def registered(self, origin: str, user_id: int, credential: Mapping[str, Any], name: str) -> tuple[NewPasskey, str]:
        """Returns the key that the device has made, and the challenge that it answered. Raises PasskeyRefused."""
        import webauthn

        challenge = self._challenge(credential, _REGISTER, user_id)
        try:
            verified = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=_host_name(origin),
                expected_origin=origin,
                require_user_verification=True,
            )
        # The answer is anybody's bytes, and the library raises errors of several packages for them.
        except Exception as error:
            raise PasskeyRefused from error
        key = _encoded(verified.credential_public_key)
        return NewPasskey(_encoded(verified.credential_id), key, verified.sign_count, name), _encoded(challenge)

    def log_in(self, origin: str) -> dict[str, Any]:
        """Returns PublicKeyCredentialRequestOptionsJSON for any user's key. Raises NoHostName."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_authentication_options(
            rp_id=_host_name(origin),
            challenge=self._challenges.issue(_LOG_IN),
            timeout=SECONDS * 1000,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return _as_json(webauthn.options_to_json(options))

    def logged_in(self, origin: str, passkey: PasskeyOfUser, credential: Mapping[str, Any]) -> tuple[int, str]:
        """Returns how often the key was used, as its device says, and the challenge. Raises PasskeyRefused."""
        import webauthn

        challenge = self._challenge(credential, _LOG_IN, 0)
        try:
            verified = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=_host_name(origin),
                expected_origin=origin,
                credential_public_key=_decoded(passkey.public_key),
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except Exception as error:
            raise PasskeyRefused from error
        return verified.new_sign_count, _encoded(challenge)

    def _challenge(self, credential: Mapping[str, Any], purpose: str, user_id: int) -> bytes:
        """Returns the challenge that the device says it answers. Raises PasskeyRefused if it was not given out here."""
        try:
            said = json.loads(_decoded(credential["response"]["clientDataJSON"]))["challenge"]
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            raise PasskeyRefused from None
        challenge = self._challenges.read(said, purpose, user_id)
        if challenge is None:
            raise PasskeyRefused
        return challenge


def _host_name(origin: str) -> str:
    host = URL(origin).host if origin else None
    if not host:
        raise NoHostName
    try:
        ip_address(host)
    except ValueError:
        return host
    raise NoHostName


def _as_json(text: str) -> dict[str, Any]:
    options: dict[str, Any] = json.loads(text)
    return options


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
