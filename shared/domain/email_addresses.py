"""E-mail addresses as people type them: how they are kept, and which spellings are one address. Pure.

The domain is compared in its ASCII form (IDNA 2008, RFC 5891) and in lower case, the part before the @ composed (NFC)
and in lower case: no mail service that people use tells `Ann@` and `ann@` apart. Nothing is looked up in the network.
"""

from __future__ import annotations

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from shared.domain.text import has_invisible
from shared.domain.users import MAX_EMAIL_LENGTH

INVISIBLE = "Contains invisible characters."
NOT_VALID = "Not a valid email address."


class InvalidAddress(ValueError):
    """The text is no e-mail address. The message is a sentence for the person who typed it."""


def kept(typed: str) -> str:
    """Returns the address as it is stored and shown: as typed, without blanks around it. Raises InvalidAddress."""
    read, text = _read(typed), typed.strip()
    # Other writings of a domain, such as full-width letters, nobody wants to see again.
    return text if text.isascii() else str(read.normalized)


def account_of(typed: str) -> str:
    """Returns the text that is equal for all spellings of one address. Any text has one, also if it is no address."""
    try:
        read = _read(typed)
    except InvalidAddress:
        return typed.strip().lower()
    return f"{read.local_part.lower()}@{read.ascii_domain}"


def deliverable(address: str) -> str:
    """Returns the address as mail servers take it that know only ASCII in domains; unchanged if it is no address."""
    try:
        read = _read(address)
    except InvalidAddress:
        return address
    return f"{read.local_part}@{read.ascii_domain}"


def _read(typed: str) -> ValidatedEmail:
    text = typed.strip()
    if len(text) > MAX_EMAIL_LENGTH:
        raise InvalidAddress(NOT_VALID)
    if has_invisible(text):
        raise InvalidAddress(INVISIBLE)
    try:
        return validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        raise InvalidAddress(NOT_VALID) from None
