"""Tokens: JWTs that identify a user, and refresh tokens for getting new JWTs. Pure except for the clock.

A valid token alone admits nobody: Postgres is asked whether its user and session are still welcome.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm
from jwt.api_jws import PyJWS

from shared.access.signatures import Signatures
from shared.domain.ids import parse_id
from shared.domain.text import is_storable
from shared.domain.users import Role

_ALGORITHM = "HS256"
_MAX_SESSION_ID_LENGTH = 200
_MAX_EXPIRY = 253402300799  # the last second of the year 9999, after which datetime ends
_MAX_GENERATION = 2**31 - 1
_MAX_REMEMBERED = 10_000
# Base64url without padding (RFC 7515, section 2). The last character of an HMAC-SHA256 has two bits that mean nothing:
# they must be 0. A decoder ignores them, padding and blanks. Without this rule one token would have many spellings.
_SPELLING = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_ROLES = {role.value: role for role in Role}
_GENERATION = re.compile(r"0|[1-9][0-9]{0,9}")


class InvalidToken(Exception):
    """The token is malformed, expired or has a wrong signature. The message never has the token."""


class Claims(msgspec.Struct, frozen=True, gc=False):
    """The content of a token whose signature and expiry have been checked."""

    user_id: int
    session_id: str
    """The `sid` claim. For tokens of other issuers, it is derived from the `jti` claim or from the token itself."""
    role: Role | None
    """The role when the token was issued. Never decide by it."""
    expires_at: int
    """Seconds since the epoch."""
    issued_at: int = 0
    """Seconds since the epoch; 0 if the token does not say."""


class Tokens:
    """Issues tokens signed with the first of the secrets, and reads tokens signed with any of them."""

    def __init__(self, secrets: tuple[str, ...], access_seconds: int, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since the epoch. Raises ValueError without a secret."""
        if not secrets:
            raise ValueError("tokens need the service's secrets (jwt_secrets)")
        self._keys = [_Key(secret) for secret in secrets]
        self._key_of_header = {key.header: key for key in self._keys}
        self._access_seconds = access_seconds
        self._clock = clock
        # A REST client sends the same token with every request, and decoding a token takes longer than a query.
        self._verified: dict[str, Claims] = {}
        # Separate keys, so that a token of one kind is never accepted as one of the other kind.
        self._refresh_signatures = Signatures(secrets, "refresh token")

    @property
    def access_seconds(self) -> int:
        """The lifetime of an access token."""
        return self._access_seconds

    def issue(self, user_id: int, role: Role, session_id: str | None, *, seconds: int | None = None) -> str:
        """Returns an access token. Without a session it is valid until it expires or is itself logged out."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "sub": str(user_id),
            "role": role.value,
            "iat": now,
            "exp": now + (self._access_seconds if seconds is None else seconds),
            "jti": secrets.token_urlsafe(12),
        }
        if session_id is not None:
            claims["sid"] = session_id
        return self._keys[0].signed(claims)

    def verify(self, token: str) -> Claims:
        """Returns the claims: `sub` and `exp` are required; `role`, `jti` and `sid` optional. Raises InvalidToken."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._read(token)
            if len(self._verified) >= _MAX_REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = claims
        if claims.expires_at <= self._clock():
            raise InvalidToken("expired")
        return claims

    def _read(self, token: str) -> Claims:
        """Check everything about a token except its expiry."""
        if _SPELLING.fullmatch(token) is None:
            raise InvalidToken("malformed")
        try:
            claims = self._checked(token)
            expires_at = min(int(claims["exp"]), _MAX_EXPIRY)
            user_id = parse_id(claims["sub"])
            if int(claims.get("nbf", 0)) > self._clock():
                raise InvalidToken("not valid yet")
        except KeyError as error:
            raise InvalidToken(f"{error.args[0]} is missing") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidToken(type(error).__name__) from None
        if user_id is None:
            raise InvalidToken("sub is no user id")
        role = claims.get("role")
        return Claims(
            user_id=user_id,
            session_id=_session_id(claims, token),
            role=_ROLES.get(role) if type(role) is str else None,
            expires_at=expires_at,
            issued_at=_issued_at(claims),
        )

    def _checked(self, token: str) -> dict[str, Any]:
        """Returns the claims. Raises the errors of PyJWT; jwt.InvalidSignatureError if no secret has signed the token.

        A token of this service names its key in its header. Any other token is tried with all keys.
        """
        key = self._key_of_header.get(token.partition(".")[0])
        if key is not None:
            return key.claims(token)
        *others, last = self._keys
        for key in others:
            with suppress(jwt.InvalidSignatureError):
                return key.claims(token)
        return last.claims(token)

    def issue_refresh(self, session_id: str, generation: int) -> str:
        """Returns `SESSION.GENERATION.SIGNATURE`, which is valid while the session has this generation."""
        name = f"{session_id}.{generation}"
        return f"{name}.{self._refresh_signatures.of(name)}"

    def read_refresh(self, token: str) -> tuple[str, int]:
        """Returns the session's id and the generation. Raises InvalidToken."""
        session_id, _, rest = token.partition(".")
        digits, _, signature = rest.partition(".")
        if _GENERATION.fullmatch(digits) is None or not signature.isascii():
            raise InvalidToken("malformed")
        generation = int(digits)
        try:
            is_ours = self._refresh_signatures.fits(signature, f"{session_id}.{digits}")
        except UnicodeEncodeError:
            raise InvalidToken("malformed") from None
        if generation > _MAX_GENERATION or not is_ours:
            raise InvalidToken("signature")
        return session_id, generation


class _Key:
    """A secret that is ready to sign and to check tokens."""

    def __init__(self, secret: str) -> None:
        # A prepared key, and an algorithm that accepts it: PyJWT would otherwise prepare the key again for each token.
        encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
        self._key = jwt.PyJWK.from_dict({"kty": "oct", "alg": _ALGORITHM, "k": encoded})
        self._key.Algorithm = _WithReadyKey(HMACAlgorithm.SHA256)
        # A short keyed hash (RFC 7515, section 4.1.4): it tells the keys apart, and nothing about them.
        digest = hmac.digest(secret.encode(), b"daveslist key id", "sha256")
        self._headers = {"kid": base64.urlsafe_b64encode(digest[:6]).decode()}
        self.header = self.signed({}).partition(".")[0]
        """The first part of every token that this key signs here. It has the key's id."""

    def signed(self, claims: dict[str, Any]) -> str:
        """Returns the token with these claims."""
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=self._headers)

    def claims(self, token: str) -> dict[str, Any]:
        """Returns the claims of a token that this key has signed.

        Raises the errors of PyJWT, and ValueError or TypeError if the token's content is no JSON object. Only the
        signature is checked here. Clocks of two nodes may differ, so a token issued in the future is accepted.
        """
        claims: object = _decode(_jws.decode(token, self._key, algorithms=[_ALGORITHM]))
        if type(claims) is not dict:
            raise TypeError("claims are an object")
        return claims


class _WithReadyKey(HMACAlgorithm):
    def prepare_key(self, key: str | bytes) -> bytes:
        assert type(key) is bytes
        return key


class _JWS(PyJWS):
    """PyJWT's check of signatures, for texts that have passed `_SPELLING`.

    PyJWT looks at each character in Python, which takes longer than all else. Here `_SPELLING` has done that. If PyJWT
    renames this private method, its own is used again, with the same results.
    """

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        try:
            return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
        except binascii.Error as error:
            raise jwt.DecodeError(f"bad {name}") from error


_jws = _JWS([_ALGORITHM])
_decode = msgspec.json.Decoder().decode


def new_session_id() -> str:
    """Returns an id without a dot, because it is the first part of a refresh token."""
    return secrets.token_urlsafe(18)


def _issued_at(claims: dict[str, Any]) -> int:
    issued_at = claims.get("iat")
    # A boolean is an int, too.
    if not isinstance(issued_at, (int, float)) or isinstance(issued_at, bool) or not 0 < issued_at <= _MAX_EXPIRY:
        return 0
    return int(issued_at)


def _session_id(claims: dict[str, Any], token: str) -> str:
    session_id = claims.get("sid")
    if isinstance(session_id, str) and 0 < len(session_id) <= _MAX_SESSION_ID_LENGTH and is_storable(session_id):
        return session_id
    identifier = claims.get("jti")
    if isinstance(identifier, str) and 0 < len(identifier) <= _MAX_SESSION_ID_LENGTH and is_storable(identifier):
        return f"jti:{claims['sub']}:{identifier}"
    # Without the signature, because only what is signed has a single spelling.
    return "token:" + hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest()
