"""Refuses secrets that a stranger could guess: too short, made by hand, or left as an example had them. Pure.

It cannot show that a secret is random; it finds what operators write instead of one (CWE-1391, OWASP ASVS 5 11.4.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.domain.guessable import is_sequence, repeats

MINIMUM_SECRET_BYTES = 32
MOST_SECRETS = 5
"""A token without a known key is tried with every secret, so this also bounds what such a token costs."""

_LEAST_DIFFERENT = 8
"""Different characters. Of 32 random decimal digits, one secret in 40,000 has fewer than 8 of the ten."""
_NOT_LETTERS = re.compile(r"[\W_]+")
# Without blanks and signs, in lower case. None of these is in a random text by chance, and each is in an example that
# people copy, among them those of jwt.io, Django and docker-compose files.
_EXAMPLES = (
    "changeme", "changethis", "changeit", "replaceme", "replacethis", "replacewith", "placeholder", "yoursecret",
    "yourjwt", "yourkey", "yoursupersecret", "256bitsecret", "stringsecretatleast", "secretatleast", "supersecret",
    "topsecretkey", "insertyour", "inserta", "inserthere", "fillmein", "todoset", "djangoinsecure", "donotuse",
    "notforproduction", "insecuredefault", "thisisasecret", "thisisnotasecret", "generatearandom", "putyour",
    "enteryour", "samplesecret", "examplesecret", "secretexample", "defaultsecret", "qwertyuiop", "asdfghjkl",
)  # fmt: skip
_ADVICE = "take a random one, as `openssl rand -hex 32` prints one"


def secrets_fault(secrets: Sequence[str]) -> str | None:
    """Returns why a list of secrets cannot be used, without any part of them; None if it can."""
    if len(secrets) > MOST_SECRETS:
        return f"may list at most {MOST_SECRETS} secrets, not {len(secrets)}"
    for number, secret in enumerate(secrets, 1):
        fault = secret_fault(secret)
        if fault:
            return fault if len(secrets) == 1 else f"secret {number} of {len(secrets)} {fault}"
        if secret in secrets[: number - 1]:
            return f"secret {number} of {len(secrets)} is listed twice"
    return None


def secret_fault(secret: str) -> str | None:
    """Returns why a secret cannot be used, without any part of it; None if it can."""
    if not secret:
        return "is empty"
    try:
        length = len(secret.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if length < MINIMUM_SECRET_BYTES:
        return f"must have at least {MINIMUM_SECRET_BYTES} bytes, not {length}"
    different = len(set(secret))
    if different < _LEAST_DIFFERENT:
        return f"has only {different} different characters: {_ADVICE}"
    if repeats(secret):
        return f"repeats one pattern: {_ADVICE}"
    if is_sequence(secret):
        return f"is a sequence of neighbouring characters: {_ADVICE}"
    letters = _NOT_LETTERS.sub("", secret).lower()
    if any(example in letters for example in _EXAMPLES):
        return f"looks like the placeholder of an example: {_ADVICE}"
    return None
