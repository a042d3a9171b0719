"""What the mails say: text and HTML with the same words, nothing in them that people could use against others."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from api.mail.letters import _FOLDER, Letters
from api.mail_links import MailLinks
from shared.domain.mails import SWITCHES, LoginChange, MailKind, Purpose, WaitingMail
from shared.settings import InvalidSettings, Settings
from tests.support.secret import JWT_SECRET

SETTINGS = Settings(jwt_secrets=(JWT_SECRET,), site_url="https://cars.example.com", smtp_url="smtp://mail.example.com")
LINKS = MailLinks(SETTINGS)
FACTS: dict[str, Any] = {
    "device": "Firefox on Linux",
    "address": "203.0.113.7",
    "at": "2026-05-04T03:02:01.000001Z",
    "name": "Ann",
    "author": "Bob",
    "title": "A blue car",
    "listing_id": 7,
    "text": "Is it still there?",
    "seed": "seed",
    "new": "new@example.com",
    "is_done": True,
    "is_hidden": True,
    "reason": "It is a duplicate.",
    "until": "2026-05-04T03:02:01Z",
    "items": [{"listing_id": 7, "title": "A car", "price": 9500, "price_before": 9900, "search": "Mine"}],
    "more": 3,
    "sender": "Bob",
    "other_id": 8,
    "count": 2,
    "is_suspension": True,
    "sanction": "hiding",
    "sanction_id": 9,
    "outcome": "lifted",
    "answer": "We are sorry.",
    "what": "passkey_added",
}
"""The facts of all kinds together."""


def mail(kind: MailKind = MailKind.REPLY, address: str = "ann@example.com", **facts: Any) -> WaitingMail:
    written_at = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    message_id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    return WaitingMail(1, 5, kind, address, {**FACTS, **facts}, message_id, written_at, 1, False)


def message_of(waiting: WaitingMail, settings: Settings = SETTINGS) -> EmailMessage:
    data = Letters(settings, MailLinks(settings)).message(waiting)
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    found = message_from_bytes(data, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, marked = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert marked is not None
    return plain.get_content().replace("\r\n", "\n"), marked.get_content()


@pytest.mark.parametrize("kind", MailKind)
def test_every_kind_is_text_and_html_with_the_same_words_and_links(kind: MailKind) -> None:
    message = message_of(mail(kind))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    plain, marked = parts(message)
    tree = LexborHTMLParser(marked)
    assert not tree.css("img, script, link, style")
    links = {str(one.attributes["href"]) for one in tree.css("a")}
    assert links
    assert all(link.startswith("https://cars.example.com/") for link in links)
    assert links == set(re.findall(r"^https://\S+$", plain, re.MULTILINE))
    assert tree.body is not None
    words = [one for one in re.findall(r"\w+", tree.body.text()) if one not in plain]
    assert not words
    assert len(message.as_bytes()) < 10_000
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    assert message["Message-ID"] == "<0f8fad5b-d9cb-469f-a165-70867728950e@cars.example.com>"


def test_every_kind_has_a_template_and_no_template_is_left_over() -> None:
    names = {path.stem for path in _FOLDER.glob("*.jinja")}
    assert names == {kind.value for kind in MailKind} | {"letter"}


def test_the_same_mail_is_the_same_message_each_time() -> None:
    letters = Letters(SETTINGS, LINKS)
    assert letters.message(mail()) == letters.message(replace(mail(), attempt=7))


@pytest.mark.parametrize("what", LoginChange)
def test_each_change_of_a_log_in_has_its_words(what: LoginChange) -> None:
    message = message_of(mail(MailKind.LOGIN_CHANGED, what=what.value))
    plain, _ = parts(message)
    assert what.value.split("_")[0] in (str(message["Subject"]) + plain).lower()
    assert re.findall(r"https?://\S+", plain) == ["https://cars.example.com/account"]


@pytest.mark.parametrize("kind", MailKind)
def test_only_what_can_be_switched_off_has_a_link_that_ends_it(kind: MailKind) -> None:
    message = message_of(mail(kind))
    if kind not in SWITCHES:
        assert message["List-Unsubscribe"] is None
        return
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = re.fullmatch(r"<(https://cars\.example\.com/mail/unsubscribe\?t=(\S+))>", message["List-Unsubscribe"])
    assert link is not None
    assert LINKS.switch_in(link[2]) == (5, kind)
    assert link[1] in parts(message)[0]


HOSTILE = (
    "</p><script>alert(1)</script><img src=x> {{ 7*7 }} %s & \"'\r\nBcc: eve@evil.example\r\n\r\n<b>\u202egnp.exe\u2066"
)


@pytest.mark.parametrize("kind", MailKind)
def test_what_people_wrote_is_neither_markup_nor_a_header_nor_a_template(kind: MailKind) -> None:
    calm = message_of(mail(kind))
    hostile: dict[str, Any] = dict.fromkeys(("name", "author", "title", "text", "new", "reason"), HOSTILE)
    hostile["items"] = [{**FACTS["items"][0], "title": HOSTILE, "search": HOSTILE}]
    message = message_of(mail(kind, **hostile))
    assert message.keys() == calm.keys()
    assert message["To"] == calm["To"]
    plain, marked = parts(message)
    tree, before = LexborHTMLParser(marked), LexborHTMLParser(parts(calm)[1])
    tags = [node.tag for node in tree.root.traverse()] if tree.root else []
    usual = [node.tag for node in before.root.traverse()] if before.root else []
    assert [tag for tag in tags if tag != "br"] == [tag for tag in usual if tag != "br"]
    assert "49" not in plain + str(message["Subject"])
    # Each isolate and each override that a text begins ends before the letter's own words go on.
    for line in plain.replace("\n", " ").split("  "):
        assert line.count("\u2068") <= line.count("\u2069")


LINK = "Pay at https://evil.example/pay or www.evil.example"


@pytest.mark.parametrize("kind", [MailKind.MESSAGE, MailKind.REPLY, MailKind.MATCH, MailKind.PRICE_DROP])
def test_an_address_that_somebody_else_wrote_is_no_link(kind: MailKind) -> None:
    theirs: dict[str, Any] = dict.fromkeys(("sender", "author", "text", "title"), LINK)
    theirs["items"] = [{**FACTS["items"][0], "title": LINK}]
    if kind is MailKind.REPLY:
        # The title is the reader's own.
        del theirs["title"]
    message = message_of(mail(kind, **theirs))
    for part in (*parts(message), str(message["Subject"])):
        assert "evil" in part
        assert not re.search(r"evil\.|://evil|www\.", part)


ENCODED = (
    "=?utf-8?q?=0d=0aBcc=3A_eve@evil.example?=",
    "=?utf-8?b?DQpSZXBseS1UbzogZXZlQGV2aWwuZXhhbXBsZQ0KDQo8Yj4=?=",
    "=?iso-8859-1?q?=0aX-Eve=3A_1?= =?utf-8?q?=0d=0a=0d=0abody?=",
    "A car =?utf-8?q?hidden?= here",
    "=?utf-8*en?q?hidden?=",
    "\u05d0 =?utf-8?q?=0d=0aX-Eve=3A?=",
)
"""Titles with what headers decode as other characters (RFC 2047)."""


@pytest.mark.parametrize("kind", MailKind)
def test_a_subject_says_what_people_wrote_and_never_what_that_decodes_to(kind: MailKind) -> None:
    usual = _header_names(mail(kind))
    for text in (*ENCODED, HOSTILE, "x\u2028y\x85z", "\U0001f697 " * 60, "long words " * 40, "\u00e4" * 300, "x" * 300):
        people: dict[str, Any] = dict.fromkeys(("name", "author", "sender", "title", "text", "new", "reason"), text)
        people["items"] = [{**FACTS["items"][0], "title": text, "search": text}]
        waiting = mail(kind, **people)
        assert _header_names(waiting) == usual, ascii(text)
        subject = str(Letters(SETTINGS, LINKS).words(waiting)[0])
        # What a mail program shows.
        assert _shown_subject(waiting) == subject, ascii(text)
        assert subject.count("\u2066") + subject.count("\u2067") + subject.count("\u2068") == subject.count("\u2069")
        if kind is MailKind.MODERATED and text in ENCODED:
            assert text in subject


def _header(waiting: WaitingMail) -> bytes:
    return Letters(SETTINGS, LINKS).message(waiting).partition(b"\r\n\r\n")[0]


def _header_names(waiting: WaitingMail) -> list[bytes]:
    """The names of the fields, as a server reads them: each line that is no continuation begins one."""
    lines = [line for line in _header(waiting).split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert all(len(line) <= 78 for line in lines if not line.startswith((b"List-Unsubscribe", b"Message-ID")))
    return [line.partition(b":")[0] for line in lines]


def _shown_subject(waiting: WaitingMail) -> str:
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", _header(waiting))
    [raw] = re.findall(rb"^Subject: (.*?)\r?$", unfolded, re.MULTILINE)
    return str(make_header(decode_header(raw.decode("ascii"))))


def test_a_long_title_makes_no_long_subject() -> None:
    message = message_of(mail(title="x" * 10_000))
    assert len(str(message["Subject"])) <= 200


@pytest.mark.parametrize("site", ["https://cars.example.com", "https://" + "a-long-name." * 15 + "example.com"])
def test_headers_with_addresses_are_never_encoded(site: str) -> None:
    settings = replace(SETTINGS, site_url=site)
    data = Letters(settings, MailLinks(settings)).message(mail())
    assert b"=?utf-8" not in data.partition(b"\r\n\r\n")[0]
    assert re.search(rb"^List-Unsubscribe: <https://\S+>\r$", data, re.MULTILINE)
    assert re.search(rb"^Message-ID: <\S+>\r$", data, re.MULTILINE)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600, "one hour"), (7200, "two hours"), (900, "15 minutes"), (5400, "90 minutes")]
)
def test_a_mail_says_how_long_its_link_works(seconds: float, words: str) -> None:
    plain, _ = parts(message_of(mail(MailKind.PASSWORD_RESET, seconds=seconds)))
    assert f"for {words}." in plain.replace("\n", " ")


def test_the_sender_is_the_setting_or_the_sites_own_address() -> None:
    assert message_of(mail())["From"] == "Daveslist <no-reply@cars.example.com>"
    named = replace(SETTINGS, mail_from="Björn's Cars <hello@example.com>")
    message = message_of(mail(), named)
    assert message["From"].addresses[0].display_name == "Björn's Cars"
    assert message["Message-ID"].endswith("@example.com>")


def test_a_token_is_for_one_purpose_and_of_one_secret() -> None:
    token = LINKS.token(Purpose.PASSWORD_RESET, "seed")
    assert LINKS.hash_in(Purpose.PASSWORD_RESET, token) is not None
    other = MailLinks(replace(SETTINGS, jwt_secrets=("another secret of at least 32 bytes!",)))
    assert other.hash_in(Purpose.PASSWORD_RESET, token) is None
    rotated = MailLinks(replace(SETTINGS, jwt_secrets=("another secret of at least 32 bytes!", JWT_SECRET)))
    assert rotated.hash_in(Purpose.PASSWORD_RESET, token) == LINKS.hash_in(Purpose.PASSWORD_RESET, token)
    for wrong in (
        "",
        ".",
        token[:-1],
        token + "x",
        "é" * 50,
        "x" + token,
        token.upper(),
        LINKS.unsubscribe(5, MailKind.REPLY),
    ):
        assert LINKS.hash_in(Purpose.PASSWORD_RESET, wrong) is None


@pytest.mark.parametrize(
    "url",
    [
        *(
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://a:b:c@",
            "smtp://host:0",
            "smtp://host:99999",
        ),
        *(
            "smtp://host/path",
            "smtp://host?x=1",
            "smtp://u:p%0d%0aQUIT@host",
            "smtp://u:p/w@host:25",
            "smtp+tls://host",
        ),
    ],
)
def test_a_server_that_cannot_be_meant_stops_the_start_and_shows_no_password(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^SMTP_URL: ") as caught:
        Settings.from_environment({"SMTP_URL": url, "SITE_URL": "https://cars.example.com"})
    assert "p%0d" not in str(caught.value)
    assert "p/w" not in str(caught.value)


def test_mail_needs_the_sites_address_and_a_sender_that_is_one() -> None:
    with pytest.raises(InvalidSettings, match=r"^SITE_URL: "):
        Settings.from_environment({"SMTP_URL": "smtp://mail.example.com"})
    for sender in ("nobody", "a@b.example, c@d.example", "Cars <a@b.example", "a@b.example\nBcc: c@d.example"):
        with pytest.raises(InvalidSettings, match=r"^MAIL_FROM: "):
            Settings.from_environment({"MAIL_FROM": sender})
