"""The words of push messages."""

from __future__ import annotations

from api.push.news import of_alert, of_messages
from shared.repositories.waiting import UnreadMessages

LINK = "Pay at https://evil.example/pay"
UNLINKED = "Pay at https:// evil .example/pay"


def test_an_address_that_somebody_else_wrote_is_no_link() -> None:
    unread = UnreadMessages(1, 2, 3, LINK, LINK, LINK, 1)
    news = of_messages(unread, shows_text=True)
    assert news.body.splitlines()[-1] == UNLINKED
    assert UNLINKED in news.body.splitlines()[0]
    assert UNLINKED in news.title
    alert = {
        "id": 1,
        "kind": "reply",
        "title": "Mine",
        "listing_id": 5,
        "reply": {"text": LINK, "author": {"name": LINK}},
    }
    reply = of_alert(alert, shows_text=True)
    assert reply is not None
    assert reply.body.splitlines()[-1] == UNLINKED
    assert UNLINKED in reply.title
    match = of_alert(
        {"id": 1, "kind": "match", "title": LINK, "listing_id": 5, "search": {"name": "Vans"}}, shows_text=True
    )
    assert match is not None
    assert UNLINKED in match.body
