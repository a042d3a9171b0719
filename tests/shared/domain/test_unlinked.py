"""What strangers wrote, in mails and push messages: no program makes a link of it, and all else stays as it is."""

from __future__ import annotations

import re

import pytest

from shared.domain.unlinked import unlinked

# What mail programs make links of: a scheme with a host, an e-mail address, and a host that ends in letters.
LINK = re.compile(
    r"\b[a-z][a-z+.-]*://[^\s]+|[^\s@]+@[^\s@]+\.[^\s@]+|\w[\w-]*[.\u3002\uff0e\uff61][^\W\d]{2,}", re.IGNORECASE
)

LINKS = (
    "https://evil.example/pay?now=1",
    "Look:HTTP://EVIL.EXAMPLE",
    "evil.example",
    "www.evil.co.uk/x",
    "t.co/abc",
    "(pay.example)",
    "http://1.2.3.4/pay",
    "http://localhost/",
    "http://[::1]:80/",
    "ftp://files.example",
    "eve@evil.example",
    "mailto:eve@mail.evil.example",
    "xn--80ak6aa92e.com",
    "\u0430\u0440\u0440\u04cf\u0435.\u0440\u0444",
    "evil\u3002example",
    "https://evil\uff61example",
    "a.b.c.d.evil.example.https://x.yz",
    "evil.example\nhttps://evil.example",
    "evil..example.com",
)
NO_LINKS = (
    "It costs $12.500,00 at 10.30 or 7.5 l/100 km. Is it still there?...",
    "Imported from the U.S. in good order.Yes",
    "A 1.9 TDI: what is it worth? e.g. 3",
    "Hello, Ann!\nSee you\u2026",
)


@pytest.mark.parametrize("text", LINKS)
def test_no_link_is_left(text: str) -> None:
    assert LINK.search(text)
    assert not LINK.search(unlinked(text))
    assert "".join(unlinked(text).split()) == "".join(text.split())
    assert unlinked(unlinked(text)) == unlinked(text)


@pytest.mark.parametrize("text", NO_LINKS)
def test_other_text_stays(text: str) -> None:
    assert unlinked(text).replace("order .Yes", "order.Yes") == text
