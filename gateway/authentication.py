"""Admits connections by access token: the token must be good, and its user and session still welcome in Postgres."""

from __future__ import annotations

import asyncio

from gateway.identities import Identities
from gateway.identity import Identity, Refused
from shared.access.tokens import InvalidToken, Tokens


class TokenAuthenticator:
    """The product's Authenticator."""

    def __init__(self, tokens: Tokens, identities: Identities) -> None:
        self._tokens = tokens
        self._identities = identities

    async def __call__(self, token: str) -> Identity:
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as error:
            raise Refused(str(error)) from None
        as_of = asyncio.get_running_loop().time()
        person = await self._identities.find(claims.user_id, claims.session_id)
        if person is None:
            raise Refused("no such user")
        if person.is_banned or person.is_revoked:
            raise Refused("banned" if person.is_banned else "logged out")
        return Identity(
            claims.user_id, float(claims.expires_at), claims.session_id, person.role.value, person.name, as_of
        )
