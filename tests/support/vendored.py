"""The page's libraries: api/web/vendor has copies of files from the locked npm packages, so that nothing is built.

python -m tests.support.vendored    copies them from node_modules; `make vendor` runs this
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PACKAGES = CHECKOUT / "tests" / "end_to_end" / "js" / "node_modules"
VENDOR = CHECKOUT / "api" / "web" / "vendor"

FILES = {
    "lit-html/LICENSE": "lit-html/LICENSE",
    "lit-html/lit-html.js": "lit-html/lit-html.js",
    "lit-html/directive.js": "lit-html/directive.js",
    "lit-html/directive-helpers.js": "lit-html/directive-helpers.js",
    "lit-html/directives/live.js": "lit-html/directives/live.js",
    "lit-html/directives/repeat.js": "lit-html/directives/repeat.js",
    "phoenix/LICENSE.md": "phoenix/LICENSE.md",
    "phoenix/phoenix.mjs": "phoenix/priv/static/phoenix.mjs",
}
"""The path of each file in the vendor folder, and the path of its original in node_modules."""


def contents() -> dict[str, bytes]:
    """The content that every file of the vendor folder must have, by its path."""
    found = {copy: (PACKAGES / original).read_bytes() for copy, original in FILES.items()}
    return {**found, "README.md": _readme().encode()}


def _readme() -> str:
    lines = [
        "Copies of files of npm packages, made by `make vendor` as tests/end_to_end/js/package-lock.json says. "
        "Not to be",
        "edited.",
        "",
        "| package | version | licence |",
        "|---|---|---|",
    ]
    for name in sorted({copy.partition("/")[0] for copy in FILES}):
        package = json.loads((PACKAGES / name / "package.json").read_text(encoding="utf-8"))
        [licence] = (copy for copy in FILES if copy.startswith(f"{name}/LICENSE"))
        lines.append(f"| {name} | {package['version']} | {package['license']}: {licence} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    for name, data in contents().items():
        path = VENDOR / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
