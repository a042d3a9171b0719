"""Reads the page as a browser without JavaScript does, with a parser that follows the HTML standard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import ClientResponse
from selectolax.lexbor import LexborHTMLParser, LexborNode

from tests.api.conftest import Api

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@dataclass(frozen=True)
class Seen:
    """A page as it arrived."""

    response: ClientResponse
    text: str
    tree: LexborHTMLParser

    def all(self, selector: str) -> list[LexborNode]:
        return list(self.tree.css(selector))

    def one(self, selector: str) -> LexborNode:
        [found] = self.tree.css(selector)
        return found

    def words(self, selector: str) -> str:
        """The text of the one element, with single spaces."""
        return " ".join(self.one(selector).text().split())

    def attribute(self, selector: str, name: str) -> str:
        return self.one(selector).attributes[name] or ""

    def meta(self, name: str) -> str:
        """The content of the one `meta` element with this name or property."""
        [found] = [*self.tree.css(f'meta[name="{name}"]'), *self.tree.css(f'meta[property="{name}"]')]
        return found.attributes["content"] or ""

    def data(self, selector: str) -> Any:
        """The JSON in the one script element."""
        return msgspec.json.decode(self.one(selector).text())


async def look(api: Api, address: str, status: int = 200, **headers: Any) -> Seen:
    """Open the address, follow no redirect, and check the status and that the answer is HTML."""
    response = await api.client.get(address, headers={**BROWSER, **headers}, allow_redirects=False)
    text = await response.text()
    assert response.status == status, f"{response.status}, not {status}: {text}"
    assert response.content_type == "text/html"
    return Seen(response, text, LexborHTMLParser(text))
