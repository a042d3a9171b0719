"""What a push message says: who, about which car, and the text only where the person wants it. Pure.

Phones make links of addresses that they find, so there are none in what other people wrote.

api/web/service_worker.js shows it. `url` is the page that a press opens; a later notification with the same `tag` takes
the place of an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from api.pages.isolate import isolated
from shared.domain.alerts import AlertKind
from shared.domain.push import cut
from shared.domain.unlinked import unlinked
from shared.repositories.waiting import UnreadMessages

_LONGEST_TITLE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    title: str
    body: str
    url: str
    tag: str

    @property
    def payload(self) -> bytes:
        return msgspec.json.encode(self)


def of_messages(unread: UnreadMessages, *, shows_text: bool) -> News:
    """Returns the news of a conversation."""
    lines = [f"About {isolated(_short(unlinked(unread.title)))}"] if unread.title else []
    if shows_text:
        lines.append(cut(unlinked(unread.text)) or "A picture")
    elif unread.count > 1 or not lines:
        lines.append(f"{unread.count} new messages" if unread.count > 1 else "A new message")
    return News(
        title=isolated(unlinked(unread.sender)),
        body="\n".join(lines),
        url=f"/messages/{unread.other_id}",
        tag=f"conversation {unread.other_id}",
    )


def of_alert(alert: Any, *, shows_text: bool) -> News | None:
    """Returns the news of an alert, given as clients get it; None if it is of a kind of which people are not told."""
    title = isolated(_short(unlinked(alert["title"])))
    shown = {"url": f"/listings/{alert['listing_id']}", "tag": f"alert {alert['id']}"}
    match alert["kind"]:
        case AlertKind.REPLY:
            reply = alert["reply"]
            lines = [f"About {title}", *([cut(unlinked(reply["text"]))] if shows_text else [])]
            return News(title=f"{isolated(unlinked(reply['author']['name']))} replied", body="\n".join(lines), **shown)
        case AlertKind.MATCH:
            return News(title=f"New for “{isolated(_short(alert['search']['name']))}”", body=title, **shown)
    return None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 1]}…"
