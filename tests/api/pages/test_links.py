"""Addresses in people's text are links, in the server's pages as in the page's modules; nothing else becomes markup."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from api.pages.isolate import contained
from api.pages.links import linked
from tests.api.pages.hostile import HOSTILE
from tests.support.node import find_node

LINKS = Path(__file__).parents[3] / "api" / "web" / "links.js"
TEXTS: dict[str, list[str]] = {
    "See https://example.com/cars.": ["https://example.com/cars"],
    "HTTP://EXAMPLE.COM, and (https://a.example/b?c=1&d=2#e)!": ["HTTP://EXAMPLE.COM", "https://a.example/b?c=1&d=2#e"],
    "https://en.example.org/wiki/Golf_(car) https://a.example/x).": [
        *("https://en.example.org/wiki/Golf_(car)", "https://a.example/x")
    ],
    "two https://a.example\nhttps://b.example\u00a0end": ["https://a.example", "https://b.example"],
    "https://m\u00fcnchen.example/stra\u00dfe\u201d https://\u4f8b\u3048.example/\u8eca": [
        *("https://m\u00fcnchen.example/stra\u00dfe", "https://\u4f8b\u3048.example/\u8eca")
    ],
    "javascript:alert(1) data:text/html,<b> ftp://a.example file:///etc mailto:a@b.example www.example.com": [],
    "https:// http://. https://? xhttps://a.example": [],
    "https://shop.example@evil.example/ https://a:b@c.example": [],
    '"><script>alert(1)</script> https://a.example/"onmouseover="alert(1)': ["https://a.example/"],
    "https://a.example/<b>x</b>": ["https://a.example/"],
    "https://[::1 https://a b": ["https://a"],
    "plain": [],
}


@pytest.mark.parametrize("text", [*TEXTS, *HOSTILE])
def test_only_addresses_become_links_and_the_text_stays_the_same(text: str) -> None:
    page = LexborHTMLParser(f"<p>{linked(text)}</p>")
    assert {element.tag for element in page.css("p *")} <= {"a"}
    [paragraph] = page.css("p")
    [unchanged] = LexborHTMLParser(f"<p>{plain(contained(text))}</p>").css("p")
    assert paragraph.text() == unchanged.text()
    links = page.css("p a")
    for link in links:
        assert set(link.attributes) == {"href", "target", "rel"}
        assert link.attributes["rel"] == "nofollow ugc noopener noreferrer"
        assert (link.attributes["href"] or "").lower().startswith(("http://", "https://"))
    if text in TEXTS:
        assert [link.attributes["href"] for link in links] == TEXTS[text]


def plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.servers
async def test_the_pages_modules_find_the_same_links() -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    script = f"""import {{ partsOfText }} from {json.dumps(str(LINKS))};
        const told = {json.dumps(list(TEXTS))}.map((text) => {{
            const parts = partsOfText(text);
            if (parts.map((part) => part.text).join("") !== text) throw new Error(text);
            return parts.map(({{ href }}) => href).filter(Boolean);
        }});
        console.log(JSON.stringify(told));"""
    process = await asyncio.create_subprocess_exec(
        node.node, "--input-type=module", "--eval", script, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert json.loads(output) == list(TEXTS.values())
