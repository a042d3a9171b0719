"""The parts of a letter, once as text and once as HTML: both come from one template, and never say different things.

What people wrote stands apart from the letter's own words, so that it cannot turn them around, and is never markup.
"""

from __future__ import annotations

import re
import textwrap
from typing import Protocol

from markupsafe import Markup, escape

from api.pages.isolate import isolated

_COLUMNS = 72
_FONT = "font:16px/1.5 system-ui,sans-serif"
_LINES = re.compile(r"\r\n?|\n")


class Parts(Protocol):
    """What a template is made of."""

    def paragraph(self, text: str) -> str:
        """Returns a paragraph."""

    def quote(self, text: str) -> str:
        """Returns what somebody wrote."""

    def button(self, label: str, url: str) -> str:
        """Returns a link that stands out."""

    def entry(self, title: str, detail: str, url: str) -> str:
        """Returns a line of a list, whose title is a link."""

    def small(self, text: str) -> str:
        """Returns a remark below the letter."""


class TextParts:
    """Plain text, with lines that every mail program shows whole."""

    def paragraph(self, text: str) -> str:
        return _wrapped(text) + "\n\n"

    def quote(self, text: str) -> str:
        lines = [_wrapped(line, "> ") or ">" for line in _LINES.split(str(text))]
        return "\n".join(lines) + "\n\n"

    def button(self, label: str, url: str) -> str:
        # A line of its own, never broken, so that mail programs make a link of all of it.
        return f"{label}:\n{url}\n\n"

    def entry(self, title: str, detail: str, url: str) -> str:
        return f"{_wrapped(title)}\n{_wrapped(detail)}\n{url}\n\n"

    def small(self, text: str) -> str:
        return _wrapped(text) + "\n"


class HtmlParts:
    """HTML that needs no picture and no style sheet."""

    def paragraph(self, text: str) -> Markup:
        return Markup('<p style="margin:0 0 16px">{}</p>\n').format(text)

    def quote(self, text: str) -> Markup:
        lines = Markup("<br>\n").join(escape(line) for line in _LINES.split(str(text)))
        style = "margin:0 0 16px;padding:0 0 0 12px;border-left:3px solid #888"
        return Markup('<blockquote dir="auto" style="{}">{}</blockquote>\n').format(style, lines)

    def button(self, label: str, url: str) -> Markup:
        style = "display:inline-block;padding:10px 16px;border-radius:6px;background:#0b57d0;color:#fff"
        return Markup('<p style="margin:0 0 16px"><a href="{}" style="{}">{}</a></p>\n').format(url, style, label)

    def entry(self, title: str, detail: str, url: str) -> Markup:
        return Markup('<p style="margin:0 0 16px"><a href="{}">{}</a><br>{}</p>\n').format(url, title, detail)

    def small(self, text: str) -> Markup:
        return Markup('<p style="margin:0 0 8px;font-size:13px;color:#555">{}</p>\n').format(text)


def body_of_page(inner: Markup) -> Markup:
    """Returns the HTML document around the parts."""
    return Markup(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"></head>\n'
        '<body style="margin:0;padding:24px;{}"><div style="max-width:560px;margin:0 auto">\n{}</div></body></html>\n'
    ).format(_FONT, inner)


def named(text: object) -> str:
    """Returns a name or a title for the inside of a sentence: one line, and apart from the words around it."""
    return isolated(" ".join(str(text).split()))


def _wrapped(text: str, begin: str = "") -> str:
    return textwrap.fill(
        str(text),
        _COLUMNS,
        initial_indent=begin,
        subsequent_indent=begin,
        break_long_words=False,
        break_on_hyphens=False,
    )
