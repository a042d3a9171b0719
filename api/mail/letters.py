"""Makes the message of a waiting mail (RFC 5322): text and HTML of one template, and the headers.

For one more kind of mail: a value of MailKind, a template here with its name, and, if the template needs more than the
mail's facts, a function in VALUES. If people may switch it off, also a line in SWITCHES (shared/domain/mails.py).

What other people wrote passes `unlinked` in the templates: mail programs make links of addresses that they find.

The same mail has the same Message-ID and Date at each attempt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.mail.words import HtmlParts, Parts, TextParts, body_of_page, named
from api.mail_links import MailLinks
from api.pages import words
from api.pages.isolate import contained
from api.pages.units import Units
from shared.access.smtp_server import mailbox
from shared.domain.email_addresses import deliverable
from shared.domain.mails import SWITCHES, MailKind, Purpose, WaitingMail
from shared.domain.text import in_words
from shared.domain.unlinked import unlinked
from shared.settings import Settings

Values = Callable[[WaitingMail, MailLinks], Mapping[str, Any]]

_FOLDER = Path(__file__).parent / "templates"
_MAX_SUBJECT = 150
"""Characters; a title may be longer."""
_BLANK_LINES = re.compile(r"\n{3,}")
_UNFOLDED = frozenset({"list-unsubscribe", "message-id"})
_SUBJECT = "subject"
_USUAL_SECONDS = 3600
"""How long a link works whose mail does not say it, because an earlier version has written the mail."""
_MAX_WORD = 60
"""Characters of a word that fits into a line of a header as it is."""


def _password_reset(mail: WaitingMail, links: MailLinks) -> Mapping[str, Any]:
    minutes = round(mail.facts.get("seconds", _USUAL_SECONDS) / 60)
    count, unit = (minutes // 60, "hour") if minutes and minutes % 60 == 0 else (minutes, "minute")
    time = f"{in_words(count)} {unit}{'' if count == 1 else 's'}"
    return {"link": links.link(Purpose.PASSWORD_RESET, mail.facts["seed"]), "time": time}


def _address_confirm(mail: WaitingMail, links: MailLinks) -> Mapping[str, Any]:
    return {"link": links.link(Purpose.ADDRESS, mail.facts["seed"])}


def _sanction(mail: WaitingMail, links: MailLinks) -> Mapping[str, Any]:
    """A mail of an earlier version names no sanction, and so has no link."""
    sanction_id = mail.facts.get("sanction_id")
    written_at = mail.written_at.timestamp()
    return {} if sanction_id is None else {"objection": links.objection(sanction_id, from_time=written_at)}


VALUES: Mapping[MailKind, Values] = {
    MailKind.BANNED: _sanction,
    MailKind.WARNED: _sanction,
    MailKind.PASSWORD_RESET: _password_reset,
    MailKind.ADDRESS_CONFIRM: _address_confirm,
}
"""What a kind's template needs besides the mail's facts."""


class Letters:
    """Makes messages with the deployment's sender and links."""

    def __init__(self, settings: Settings, links: MailLinks) -> None:
        host = links.site.partition("://")[2].partition(":")[0]
        self.sender = mailbox(settings.mail_from or f"Daveslist <no-reply@{host}>")
        self._links = links
        self._price = Units.of(settings).price

    def message(self, mail: WaitingMail) -> bytes:
        """Returns the message, with CRLF at the ends of lines. Raises ValueError if the address is none."""
        subject, text, html = self.words(mail)
        to = recipient(mail.address)
        message = EmailMessage(policy=_POLICY if to.addr_spec.isascii() else _POLICY.clone(utf8=True))
        message["From"] = self.sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(mail.written_at)
        message["Message-ID"] = f"<{mail.message_id}@{self.sender.domain}>"
        # Nobody's absence note is to answer (RFC 3834, 5).
        message["Auto-Submitted"] = "auto-generated"
        if mail.kind in SWITCHES:
            message["List-Unsubscribe"] = f"<{self._links.unsubscribe(mail.user_id, mail.kind)}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        message.set_boundary(f"=_{mail.message_id}")
        return message.as_bytes()

    def words(self, mail: WaitingMail) -> tuple[str, str, str]:
        """Returns the subject, the text and the HTML."""
        values = {**mail.facts, "page": self._links.page, "price": self._price}
        if mail.kind in VALUES:
            values |= VALUES[mail.kind](mail, self._links)
        if mail.kind in SWITCHES:
            values |= {
                "about": SWITCHES[mail.kind].about,
                "unsubscribe": self._links.unsubscribe(mail.user_id, mail.kind),
            }
        name = f"{mail.kind.value}.jinja"
        plain, marked = _environment(is_html=False).get_template(name), _environment(is_html=True).get_template(name)
        subject = "".join(plain.blocks["subject"](plain.new_context(values)))
        text = _BLANK_LINES.sub("\n\n", plain.render(values)).strip() + "\n"
        return (
            contained(" ".join(subject.split())[:_MAX_SUBJECT]),
            text,
            body_of_page(Markup(marked.render(values).strip())),
        )


def recipient(address: str) -> Address:
    """Returns the address for a header and for the envelope. Raises ValueError if it names nobody, or several."""
    found = mailbox(address)
    if found.display_name or found.addr_spec != address:
        raise ValueError("the address is no single mailbox")
    # The domain faß.de is another one than fass.de (IDNA 2008). UnicodeError is a ValueError: such a domain has no form
    # for machines.
    domain = deliverable(address).rpartition("@")[2].encode("idna").decode()
    return Address(username=found.username, domain=domain)


class _Policy(EmailPolicy):
    """Long words of the other headers are folded; an address in these would be encoded, and mean something else.

    A subject is what it says. The library would read it as a header, and decode what looks like an encoded word
    (RFC 2047), perhaps to the end of a line and another header.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return (name, value) if name.lower() == _SUBJECT else super().header_store_parse(name, value)

    def fold(self, name: str, value: Any) -> str:
        if name.lower() == _SUBJECT:
            return f"{name}: {_encoded(value, name).encode(linesep=self.linesep)}{self.linesep}"
        return f"{name}: {value}{self.linesep}" if name.lower() in _UNFOLDED else super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in {_SUBJECT, *_UNFOLDED}:
            return self.fold(name, value).encode("ascii")
        return super().fold_binary(name, value)


def _encoded(text: str, name: str) -> Header:
    is_plain = (
        text.isascii() and text.isprintable() and "=?" not in text and len(max(text.split(), key=len)) < _MAX_WORD
    )
    return Header(text, "us-ascii" if is_plain else "utf-8", header_name=name)


_POLICY = _Policy(linesep=SMTP.linesep)


@cache
def _environment(*, is_html: bool) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    parts: Parts = HtmlParts() if is_html else TextParts()
    made.filters |= {"named": named, "unlinked": unlinked, "date": words.date, "date_time": words.date_time}
    made.globals |= {
        "paragraph": parts.paragraph,
        "quote": parts.quote,
        "button": parts.button,
        "entry": parts.entry,
        "small": parts.small,
    }
    return made
