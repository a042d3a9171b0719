"""Templates that are merged before they are compiled give the same text as Jinja's own inheritance."""

from __future__ import annotations

import pytest
from jinja2 import DictLoader, Environment, nodes

from api.pages.inheritance import merged

TEMPLATES = {
    "outer": "<{% block head %}none{% endblock %}|{% block app %}{% endblock %}|{{ name }}>",
    "frame": (
        '{% extends "outer" %}{% block app %}[{% block main %}empty{% endblock %}]{% set name = 3 %}{% endblock %}'
    ),
    "car": (
        '{% extends "frame" %}{% macro bold(text) %}<b>{{ text }}</b>{% endmacro %}'
        "{% block main %}{% set name = 2 %}{{ bold(name) }}"
        "{% for one in many %}{{ bold(one) }}{% endfor %}{% endblock %}"
    ),
    "branches": (
        '{% extends "outer" %}'
        "{% block app %}{% if many %}{% block yes %}yes{% endblock %}{% else %}no{% endif %}{% endblock %}"
    ),
    "deep": '{% extends "branches" %}{% block yes %}YES{% endblock %}{% block head %}{{ name }}{% endblock %}',
}
VALUES = ({"name": "Ann <&>", "many": [1, 2]}, {"name": 1, "many": []})


class _Merging(Environment):
    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return merged(super()._parse(source, name, filename), self._parsed)

    def _parsed(self, name: str) -> nodes.Template:
        assert self.loader is not None
        return super()._parse(self.loader.get_source(self, name)[0], name, None)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("values", VALUES)
def test_a_merged_template_gives_the_same_text(name: str, values: dict[str, object]) -> None:
    own, merging = (kind(loader=DictLoader(TEMPLATES), autoescape=True) for kind in (Environment, _Merging))
    assert merging.get_template(name).render(values) == own.get_template(name).render(values)
    assert merging.get_template(name).blocks == {}


@pytest.mark.parametrize(
    "source",
    ['{% extends "outer" %}{% block head %}{{ super() }}{% endblock %}', "{% extends name %}"],
    ids=["super", "a name that is an expression"],
)
def test_what_cannot_be_merged_is_refused(source: str) -> None:
    with pytest.raises(TypeError):
        _Merging(loader=DictLoader(TEMPLATES)).from_string(source)
