"""Jinja's templates of the pages. Every value is escaped: people's text is never markup."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, nodes
from markupsafe import Markup, escape
from markupsafe import _escape_inner as _escape  # type: ignore[attr-defined]

from api.pages import asked, facts, links, srcset, words
from api.pages.inheritance import merged
from api.pages.isolate import contained, isolated
from api.pages.units import Units

_FOLDER = Path(__file__).parent / "templates"


def embedded(json: bytes) -> Markup:
    """Returns JSON for the inside of a script element. Nothing in it can end the element or begin a comment.

    `<` is only ever in a string of JSON, where its escape means the same (HTML, 4.12.1.3).
    """
    return Markup(json.decode().replace("<", "\\u003c"))


def _as_json(value: Any) -> Markup:
    return embedded(msgspec.json.encode(value))


_NEEDED = secrets.token_hex()
"""Stands where `needed` belongs. Nobody can guess it, so nobody's text contains it."""
CAR_ICON = Markup((_FOLDER / "car_icon.svg").read_text(encoding="utf-8").strip())
"""The icon of api/web/ui/icons.js."""


def escaped(value: Any) -> str:
    """Returns a value as XML has it: what markupsafe's `escape` does without making Markup of it."""
    if type(value) is not str and hasattr(value, "__html__"):
        return str(value.__html__())
    text: str = _escape(str(value))
    return text


def shown(value: Any) -> str:
    """Returns a value as pages have it: text contained and escaped, markup unchanged."""
    if type(value) is not str:
        return value if type(value) is Markup else escaped(value)
    # Everything that has to be contained is a character that cannot be printed.
    text: str = _escape(value if value.isprintable() else contained(value))
    return text


class _Template(Template):
    """A template that writes its values by `shown`, because they go straight into the page."""

    @classmethod
    def from_code(cls, environment: Environment, code: Any, globals: Any, uptodate: Any = None) -> Template:
        made = super().from_code(environment, code, globals, uptodate)
        namespace = made.root_render_func.__globals__
        assert namespace["escape"] is escape
        # What other programs read has people's text unchanged.
        namespace["escape"] = escaped if (made.name or "").endswith(".xml") else shown
        return made


class _Environment(Environment):
    """Templates never change: each is compiled once, together with those that it extends."""

    template_class = _Template
    # Templates read only items that are there, so nothing has to be made of one that is missing.
    getitem = staticmethod(operator.getitem)  # type: ignore[assignment]

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return merged(super()._parse(source, name, filename), self._parsed)

    def _parsed(self, name: str) -> nodes.Template:
        assert self.loader is not None
        source, filename, _ = self.loader.get_source(self, name)
        return super()._parse(source, name, filename)


def _environment() -> Environment:
    made = _Environment(
        loader=FileSystemLoader(_FOLDER),
        # For XML too.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "isolated": isolated,
        "price_before": words.price_before,
        "name_of": words.name_of,
        "alike": facts.alike,
        "linked": links.linked,
        "as_json": _as_json,
        # Filters are called faster than functions.
        "facts": _facts_of,
        "in_a_line": facts.in_a_line,
        "moment": _moment,
        "as_price": _as_price,
        "top": _top_of,
        "field": _field_of,
    }
    made.globals |= {"asked_words": asked, "car_icon": CAR_ICON, "needed": _NEEDED}
    made.globals |= {"image": _image, "in_list": srcset.IN_LIST, "in_gallery": srcset.IN_GALLERY}
    return made


def _field_of(kind: str, name: str, label: str, value: str, error: str, more: object = None) -> Markup:
    """Returns a field of the filters. Most are empty in most searches, so an empty one is rendered once.

    `more` is the length that a text may have, or the values of a choice or of boxes, each with its words.
    """
    return (_field if value or error else _empty_field)(kind, name, label, value, error, more)


def _field(*given: object) -> Markup:
    names = ("kind", "name", "label", "value", "error", "more")
    return Markup(rendered("field.html", dict(zip(names, given, strict=True))).decode())


_empty_field = lru_cache(maxsize=200)(_field)
"""The categories of the site are in one of them, and change."""


def _image(picture: Mapping[str, Any], address: str, alt: str, sizes: str = "", is_first: bool = False) -> Markup:
    """Returns the element of a picture. With `sizes`, browsers choose among its sizes. They ask for the first early.

    It is no macro, because pages have many pictures and macros are slow.
    """
    choices = srcset.srcset(picture) if sizes else ""
    chosen = f' srcset="{shown(choices)}" sizes="{shown(sizes)}"' if choices else ""
    when = 'loading="eager" fetchpriority="high"' if is_first else 'loading="lazy"'
    return Markup(
        f'<img{chosen} src="{shown(address)}" alt="{shown(alt)}" width="{picture["width"]:d}" '
        f'height="{picture["height"]:d}" {when} decoding="async">'
    )


def _moment(time: str, classes: str = "") -> Markup:
    """Returns the element of a time, as api/web/ui/moment.js makes it: the day, with the whole time on hover."""
    named = f' class="{shown(classes)}"' if classes else ""
    whole, day = shown(words.date_time(time)), shown(words.date(time))
    return Markup(f'<time{named} datetime="{shown(time)}" title="{whole}">{day}</time>')


def _facts_of(listing: Mapping[str, Any], units: Units) -> Markup:
    """Returns the rows of what is known about the car; "" if nothing is."""
    rows = [_row_of(name, value, units) for name in facts.FACTS if (value := listing.get(name)) is not None]
    return Markup("\n        ".join(rows))


@lru_cache(maxsize=5000)
def _row_of(name: str, value: str | int, units: Units) -> str:
    """Most values are those of many cars."""
    label, words = facts.fact(name, value, units)
    return f'<div><dt>{shown(label)}</dt><dd dir="auto">{shown(words)}</dd></div>'


def _as_price(value: int | None, units: Units) -> str:
    return units.price(value)


def _top_of(search: asked.Asked, longest: int) -> Markup:
    """Returns the top of a page, up to the search. It is the same on every page that is no search."""
    return _usual_top(longest) if search is asked.NOTHING else _top(search, longest)


@cache
def _usual_top(longest: int) -> Markup:
    return _top(asked.NOTHING, longest)


def _top(search: asked.Asked, longest: int) -> Markup:
    return Markup(rendered("top.html", {"asked": search, "longest": longest}).decode())


_ENVIRONMENT = _environment()


@cache
def _template(name: str) -> Template:
    found = _ENVIRONMENT.get_template(name)
    # Jinja copies this into each page; it is a chain of maps, which is slow to copy.
    found.globals = dict(found.globals)
    return found


def rendered(template: str, values: dict[str, Any]) -> bytes:
    """Returns the template, in UTF-8, with the values in it."""
    return _template(template).render(values).encode()


def rendered_around(template: str, values: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Returns the page, in UTF-8, in two parts: what is before `needed`, and what is behind it."""
    text = _template(template).render(values)
    before, _, behind = text.partition(_NEEDED)
    return before.encode(), behind.encode()
