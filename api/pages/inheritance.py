"""Puts a template and all that it extends together before Jinja compiles them, so that a page is one function.

Jinja looks blocks up and resolves their names anew for each page, although templates never change. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import nodes

Parse = Callable[[str], nodes.Template]
"""Returns the template of this name as it is written."""


def merged(template: nodes.Template, parse: Parse) -> nodes.Template:
    """Returns the outermost template that `template` extends, with the innermost content in each block.

    Of a template that extends another, Jinja's other nodes outside of blocks are left out, besides macros. Raises
    TypeError for `super()`, and for a parent whose name is an expression.
    """
    blocks: dict[str, nodes.Block] = {}
    macros: list[nodes.Node] = []
    while (extends := template.find(nodes.Extends)) is not None:
        if not isinstance(extends.template, nodes.Const):
            raise TypeError("a template extends another by its name")
        _note(template, blocks)
        macros[:0] = template.find_all(nodes.Macro)
        template = parse(extends.template.value)
    _note(template, blocks)
    template.body = macros + [one for node in template.body for one in _filled(node, blocks)]
    return template


def _note(template: nodes.Template, blocks: dict[str, nodes.Block]) -> None:
    for block in template.find_all(nodes.Block):
        if any(call.node.name == "super" for call in block.find_all(nodes.Call) if isinstance(call.node, nodes.Name)):
            raise TypeError("a block stands for the whole block of its parent")
        blocks.setdefault(block.name, block)


def _filled(node: nodes.Node, blocks: dict[str, nodes.Block]) -> list[nodes.Node]:
    """Returns the node with the content of blocks in place of them."""
    if isinstance(node, nodes.Block):
        body = [one for child in blocks[node.name].body for one in _filled(child, blocks)]
        return [nodes.Scope(body, lineno=node.lineno)]
    for field in ("body", "else_"):
        children = getattr(node, field, None)
        if isinstance(children, list):
            setattr(node, field, [one for child in children for one in _filled(child, blocks)])
    return [node]
