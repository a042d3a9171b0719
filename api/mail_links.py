"""Links in mails, and the tokens in them. Pure.

A token is `SEED.SIGNATURE`: a random seed, signed for one purpose with a key of its own. Postgres has only the seed's
hash, and a waiting mail only the seed, so that neither of them is a token. The token comes behind `#`, which no browser
sends: it reaches neither a log nor the next page's Referer. Only the link that ends mails of one kind has its token in
the query, because mail programs post to it (RFC 8058); it allows nothing else.

Whoever is banned cannot log in, but may object. The token for that names the sanction and when it expires, and is
signed: since there is one objection for each sanction, it works once without being stored.
"""

from __future__ import annotations

import hashlib
import secrets
import time

from shared.access.signatures import Signatures
from shared.domain.ids import parse_id
from shared.domain.mails import SWITCHES, MailKind, NewLink, Purpose
from shared.domain.sanctions import OBJECTION_DAYS
from shared.settings import Settings

MAX_TOKEN_LENGTH = 200
UNSUBSCRIBE = "/mail/unsubscribe"
OBJECTION = "/objection"


PATHS = {Purpose.PASSWORD_RESET: "/password/reset", Purpose.ADDRESS: "/address/confirm"}
"""The page that each link leads to."""


def new_seed() -> str:
    """Returns the random part of a new token."""
    return secrets.token_urlsafe(24)


def new_link(seconds: float) -> NewLink:
    """Returns a link that is to be made, and then works for `seconds`."""
    seed = new_seed()
    return NewLink(seed, hash_of(seed), seconds)


def hash_of(seed: str) -> str:
    """Returns what Postgres knows of the seed."""
    return hashlib.sha256(seed.encode()).hexdigest()


class MailLinks:
    """Makes the links of a deployment, and reads their tokens."""

    def __init__(self, settings: Settings) -> None:
        self.site = settings.site_url.rstrip("/") or f"http://127.0.0.1:{settings.api_port}"
        self._signatures = {purpose: Signatures(settings.jwt_secrets, f"mail link {purpose}") for purpose in Purpose}
        self._of_objections = Signatures(settings.jwt_secrets, "objection")
        self._of_switches = Signatures(settings.jwt_secrets, "mail switch")

    def page(self, path: str) -> str:
        """Returns the address of one of the page's paths. No request decides its host."""
        return self.site + path

    def token(self, purpose: Purpose, seed: str) -> str:
        """Returns the token that the seed becomes."""
        return f"{seed}.{self._signatures[purpose].of(seed)}"

    def link(self, purpose: Purpose, seed: str) -> str:
        """Returns the link with this token."""
        return f"{self.page(PATHS[purpose])}#{self.token(purpose, seed)}"

    def hash_in(self, purpose: Purpose, token: str) -> str | None:
        """Returns the hash of the token's seed, or None if the token was not made here for this purpose."""
        seed, _, signature = token.rpartition(".")
        if not token.isascii() or not seed or not self._signatures[purpose].fits(signature, seed):
            return None
        return hash_of(seed)

    def objection_token(self, sanction_id: int, *, from_time: float | None = None) -> str:
        """Returns a token with which the person objects to the sanction: for OBJECTION_DAYS from a time, or from now.

        `from_time` is in seconds since the epoch.
        """
        begins = time.time() if from_time is None else from_time
        text = f"{sanction_id}.{int(begins + OBJECTION_DAYS * 86_400)}"
        return f"{text}.{self._of_objections.of(text)}"

    def objection(self, sanction_id: int, *, from_time: float) -> str:
        """Returns the link with this token."""
        return f"{self.page(OBJECTION)}#{self.objection_token(sanction_id, from_time=from_time)}"

    def sanction_in(self, token: str) -> int | None:
        """Returns the sanction that the token names, or None if it has expired or was not made here."""
        text, _, signature = token.rpartition(".")
        if not token.isascii() or not self._of_objections.fits(signature, text):
            return None
        sanction, _, expires = text.partition(".")
        expires_at = parse_id(expires)
        return parse_id(sanction) if expires_at is not None and expires_at > time.time() else None

    def unsubscribe(self, user_id: int, kind: MailKind) -> str:
        """Returns the address to which a POST ends the user's mails of the kind (RFC 8058)."""
        text = f"{user_id}.{kind.value}"
        return f"{self.page(UNSUBSCRIBE)}?t={text}.{self._of_switches.of(text)}"

    def switch_in(self, token: str) -> tuple[int, MailKind] | None:
        """Returns the user and the kind of mail that the token names, or None if it was not made here."""
        text, _, signature = token.rpartition(".")
        if not token.isascii() or not self._of_switches.fits(signature, text):
            return None
        user, _, kind = text.partition(".")
        user_id, known = parse_id(user), {switch.value: switch for switch in SWITCHES}
        return (user_id, known[kind]) if user_id is not None and kind in known else None
