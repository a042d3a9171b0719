"""Jinja's templates of the pages. Every value is escaped: people's text is never markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.pages import asked, facts, links, srcset, words
from api.pages.isolate import finalized, isolated

_FOLDER = Path(__file__).parent / "templates"


def embedded(json: bytes) -> Markup:
    """Returns JSON for the inside of a script element. Nothing in it can end the element or begin a comment.

    `<` is only ever in a string of JSON, where its escape means the same (HTML, 4.12.1.3).
    """
    return Markup(json.decode().replace("<", "\\u003c"))


def _as_json(value: Any) -> Markup:
    return embedded(msgspec.json.encode(value))


CAR_ICON = Markup((_FOLDER / "car_icon.svg").read_text(encoding="utf-8").strip())
"""The icon of api/web/ui/icons.js."""


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        # For XML too.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=finalized,
    )
    made.filters |= {
        "date": words.date,
        "date_time": words.date_time,
        "isolated": isolated,
        "price_before": words.price_before,
        "name_of": words.name_of,
        "alike": facts.alike,
        "linked": links.linked,
        "srcset": srcset.srcset,
        "as_json": _as_json,
    }
    made.globals |= {"asked_words": asked, "facts_of": facts.facts, "in_a_line": facts.in_a_line, "car_icon": CAR_ICON}
    made.globals |= {"in_list": srcset.IN_LIST, "in_gallery": srcset.IN_GALLERY}
    return made


_PAGES = _environment()
_FEEDS = _PAGES.overlay(finalize=None)
"""What other programs read has people's text unchanged."""


def rendered(template: str, values: dict[str, Any]) -> bytes:
    """Returns the template, in UTF-8, with the values in it."""
    environment = _FEEDS if template.endswith(".xml") else _PAGES
    return environment.get_template(template).render(values).encode()
