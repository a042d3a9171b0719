"""Modules that are joined into one script run as they would by themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from api.assets.files import CLIENT, FOLDER
from api.assets.script import CannotJoin, joined
from tests.support.node import find_node

MODULES = {
    "main.js": """
        // The order of running is that of the imports.
        import "./first.js";
        import { add, Sum as Total } from "./lib/sum.js";
        import { again, second } from "./lib/index.js";
        import { text } from "./words.js"
        ran.push("main", add(1, 2), new Total().of([3, 4]), again(1), second, text("x"));
    """,
    "first.js": """ran.push("first");""",
    "words.js": """
        export const text = (word) => `${ word } // { "import": ${`a ${ word }`} }`
        const inner = /[}"'`]/
        export async function* unused() { yield inner }
        ran.push("words")
    """,
    "lib/index.js": """export { add as again } from "./sum.js"; export { second } from "./sum.js"; ran.push("index")""",
    "lib/sum.js": """
        import { ran as here } from "../run.js";
        export function add(a, b = 1) { return a + b }
        class Sum { of(numbers) { return numbers.reduce((a, b) => add(a, b), 0) } }
        const two = 2;
        export { Sum, two as second };
        here.push("sum");
    """,
    "run.js": """export const ran = globalThis.ran;""",
}
RAN = ["first", "sum", "index", "words", "main", 3, 7, 2, 2, 'x // { "import": a x }']


@pytest.mark.servers
def test_a_script_does_what_its_modules_do(tmp_path: Path) -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    script = "globalThis.ran = [];\n" + joined(MODULES, "main.js") + "console.log(JSON.stringify(ran));"
    (tmp_path / "all.mjs").write_text(script, encoding="utf-8")
    for name, source in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source, encoding="utf-8")
    (tmp_path / "apart.mjs").write_text(
        'globalThis.ran = []; await import("./main.js"); console.log(JSON.stringify(ran));', encoding="utf-8"
    )
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    for name in ("all.mjs", "apart.mjs"):
        ended = subprocess.run([node.node, name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout) == RAN, name


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('import { a } from "./nothing.js";', "no module nothing.js"),
        ('import { b } from "./other.js";', "which does not export it"),
        ('import a from "./other.js";', "other things than names"),
        ('import * as a from "./other.js";', "other things than names"),
        ('import { a } from "library";', "not a relative path"),
        ("export let a = 1;", "not a function, a class or one constant"),
        ("export default 1;", "not a function, a class or one constant"),
        ('await import("./other.js");', "while it runs"),
        ('import { main } from "./circle.js"; export const main = 1;', "circle"),
    ],
)
def test_what_cannot_be_joined_is_named(source: str, why: str) -> None:
    others = {"other.js": "export const a = 1;", "circle.js": 'import { main } from "./main.js"; export { main };'}
    with pytest.raises(CannotJoin, match=why):
        joined({"main.js": source, **others}, "main.js")


def test_the_script_of_the_page_has_all_its_modules() -> None:
    paths = [path for folder in (FOLDER, CLIENT) for path in folder.rglob("*") if path.suffix in (".js", ".mjs")]
    root = FOLDER.parents[1]
    sources = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    script = joined(sources, "api/web/main.js")
    assert script.count("=(()=>{") >= len(sources) - 2
