"""The kinds of mail, and which of them people can switch off. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class MailKind(StrEnum):
    """What a mail is about. api/mail/letters.py has the words of each kind."""

    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    LOGIN_CHANGED = "login_changed"
    """The account can be logged in to in another way: `what` is a LoginChange."""
    ADDRESS_CONFIRM = "address_confirm"
    ADDRESS_CHANGED = "address_changed"
    NEW_LOGIN = "new_login"
    REPLY = "reply"
    MESSAGE = "message"
    """Private messages that wait for somebody who is away; one mail for a conversation until it is looked at."""
    MODERATED = "moderated"
    BANNED = "banned"
    """The person was banned, or suspended."""
    WARNED = "warned"
    OBJECTION_DECIDED = "objection_decided"
    MATCH = "match"
    PRICE_DROP = "price_drop"


class LoginChange(StrEnum):
    """What has changed about how somebody logs in, apart from the password."""

    PASSKEY_ADDED = "passkey_added"
    SECOND_FACTOR_ON = "second_factor_on"
    SECOND_FACTOR_OFF = "second_factor_off"
    RECOVERY_CODES = "recovery_codes"


class Purpose(StrEnum):
    """What a link in a mail does, once."""

    PASSWORD_RESET = "password_reset"
    ADDRESS = "address"
    """It confirms an e-mail address."""


class NewLink(NamedTuple):
    """A link that is to be made: the seed goes into the mail, and its hash into the table of links."""

    seed: str
    hash: str
    seconds: float


class LinkUsed(Exception):
    """The link was used already, has expired, or was replaced."""


class TooManyLinks(Exception):
    """The account has got as many links of this purpose as it may in a time."""


class Choice(StrEnum):
    """When a person wants the mails of a kind."""

    AT_ONCE = "at_once"
    WITH_TEXT = "with_text"
    """At once, and with what was written."""
    DAILY = "daily"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Switch:
    """What a person may choose for a kind of mail. `about` finishes the sentence "Mail me about ..."."""

    about: str
    choices: tuple[Choice, ...] = (Choice.AT_ONCE, Choice.NEVER)
    usual: Choice = Choice.AT_ONCE


_OFTEN = (Choice.AT_ONCE, Choice.DAILY, Choice.NEVER)

OF_ALERTS = (MailKind.MATCH, MailKind.PRICE_DROP)
"""The kinds of mail that have the names of the alerts that they tell of. One mail may tell of many."""
MAX_ITEMS = 20
"""Alerts that one mail lists."""

SWITCHES: Mapping[MailKind, Switch] = MappingProxyType(
    {
        MailKind.NEW_LOGIN: Switch("log-ins on new devices"),
        MailKind.REPLY: Switch("replies to your listings"),
        MailKind.MESSAGE: Switch(
            "messages that wait while you are away", (Choice.AT_ONCE, Choice.WITH_TEXT, Choice.NEVER)
        ),
        MailKind.MODERATED: Switch("listings of yours that a moderator hides or shows again"),
        MailKind.MATCH: Switch("cars that match your saved searches", _OFTEN, Choice.DAILY),
        MailKind.PRICE_DROP: Switch("favourites that have become cheaper", _OFTEN, Choice.DAILY),
    }
)
"""The kinds that can be switched off. What is not here concerns the account itself, and is always sent."""

TO_ANY_ADDRESS = (MailKind.PASSWORD_RESET, MailKind.ADDRESS_CONFIRM)
"""The kinds that an address gets which has to be confirmed first. It may be that of somebody who knows nothing of the
account, so these mails have nothing that its owner wrote, and are few."""


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A mail that one API has taken, to send it. `attempt` is 1 for the first one, and grows with each."""

    id: int
    user_id: int
    kind: MailKind
    address: str
    facts: Mapping[str, Any]
    """What the mail says, as JSON; it never has a token, only what tokens are made of."""
    message_id: str
    """The left side of its Message-ID, the same in all attempts."""
    written_at: datetime
    attempt: int
    is_late: bool
    """True if it has waited for so long that it is given up when this attempt fails."""
