"""Makes the table of settings in the operating guide from shared/settings.py: names, defaults and meanings.

python -m tests.documents.settings_table    writes it into docs/operating.md
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields

from shared.settings import Settings
from tests.documents.guide import CHECKOUT, write


def table() -> str:
    said = _meanings()
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for setting in fields(Settings):
        default = _shown(setting.default if setting.default is not MISSING else "")
        rows.append(f"| `{setting.name.upper()}` | {default} | {said.get(setting.name, '')} |")
    return "\n".join(rows) + "\n"


def _shown(value: object) -> str:
    match value:
        case bool():
            return "`on`" if value else "`off`"
        case "" | ():
            return ""
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


def _meanings() -> dict[str, str]:
    """The docstring of each setting, by the setting's name."""
    return dict(_strings(ast.parse((CHECKOUT / "shared" / "settings.py").read_text(encoding="utf-8"))))


def _strings(module: ast.Module) -> Iterator[tuple[str, str]]:
    [settings] = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    for field, below in zip(settings.body, settings.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                # The guide names a setting by its environment variable.
                names = "|".join(sorted((each.name for each in fields(Settings)), key=len, reverse=True))
                text = re.sub(rf"`({names})`", lambda found: found[0].upper(), " ".join(text.split()))
                yield name, text


if __name__ == "__main__":
    write("settings", table())
